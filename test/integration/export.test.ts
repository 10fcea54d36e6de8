import test from 'ava'
import { EXPORT_DEFAULTS, ExportPump, type ExportPumpOptions, type ExportSettings } from '../../agent/export/export-pump.ts'
import { HubLink } from '../../agent/link/hub-link.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { FakeGateway } from '../support/fake-gateway.ts'
import { FakeStreams } from '../support/fake-streams.ts'

interface Rig {
  readonly gateway: FakeGateway
  readonly streams: FakeStreams
  readonly pump: ExportPump
  readonly link: HubLink
  readonly stream: number
  /** Resolves as soon as the stream is empty in the store. */
  readonly drained: () => Promise<void>
}

async function openRig(
  t: { teardown(fn: () => unknown): void },
  settings: Partial<ExportSettings> = {},
  options: Partial<ExportPumpOptions> = {},
): Promise<Rig> {
  const gateway = await FakeGateway.open(t)
  const streams = new FakeStreams()
  const { id, epoch } = streams.open('readings')
  const link = new HubLink({ identity: await gateway.device(), logger: silentLogger, backoff: { firstMs: 10, maxMs: 50 } })
  let changed: () => void = () => {}
  const onReleased = () => changed()
  const pump = new ExportPump({
    store: streams,
    link,
    device: 'board-1',
    logger: silentLogger,
    settings: { lingerMs: 1, ...settings },
    onReleased,
    ...options,
  })
  pump.addStream(id, 'readings', epoch)
  pump.start()
  t.teardown(async () => {
    await link.close()
    await pump.close()
  })
  const drained = async () => {
    while (streams.waiting(id).length > 0) await new Promise<void>((resolve) => (changed = resolve))
  }
  return { gateway, streams, pump, link, stream: id, drained }
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

const seqs = (gateway: FakeGateway) => gateway.rows.map(({ seq }) => seq)

test('export of rows that waited at the connect sends them in order, marked as replayed, and releases them', async (t) => {
  const { gateway, streams, link, stream, drained } = await openRig(t, { batchRowsMax: 10 })
  streams.append(stream, 95)
  link.start()
  await drained()
  t.deepEqual(seqs(gateway), range(1, 95))
  t.true(gateway.rows.every(({ replayed }) => replayed))
})

test('export of a row committed while the link is up is live', async (t) => {
  const { gateway, streams, pump, link, stream, drained } = await openRig(t)
  link.start()
  await gateway.until(() => gateway.connections === 1)
  for (let i = 0; i < 3; i++) {
    streams.append(stream, 2)
    pump.notify(stream)
    await drained()
  }
  t.deepEqual(seqs(gateway), range(1, 6))
  t.true(gateway.rows.slice(2).every(({ replayed }) => !replayed))
})

test('export keeps a row until the hub confirms it', async (t) => {
  const { gateway, streams, link, stream, drained } = await openRig(t)
  const gate = Promise.withResolvers<void>()
  gateway.take = () => gate.promise
  streams.append(stream, 3)
  link.start()
  await gateway.until(() => gateway.rows.length === 3)
  t.deepEqual(streams.waiting(stream), [1, 2, 3])
  gate.resolve()
  await drained()
})

test('export with a backlog sends a live row before the rest of it', async (t) => {
  const { gateway, streams, pump, link, stream, drained } = await openRig(t, { batchRowsMax: 10, inFlightFramesMax: 4, liveShare: 0.25 })
  const gates: (() => void)[] = []
  gateway.take = (topic) => (topic.endsWith('/events') ? new Promise((resolve) => gates.push(resolve)) : Promise.resolve())
  streams.append(stream, 1000)
  link.start()
  await gateway.until(() => gateway.rows.length > 0)
  t.is(pump.stats.inFlight, 3, 'the backlog leaves one frame of the window to live')
  streams.append(stream, 1)
  pump.notify(stream)
  while (pump.stats.inFlight < 4) await new Promise((resolve) => setImmediate(resolve))
  gateway.take = () => Promise.resolve()
  for (const open of gates) open()
  await drained()
  t.deepEqual(
    seqs(gateway).toSorted((a, b) => a - b),
    range(1, 1001),
  )
  t.deepEqual(gateway.rows[30], { stream: 'readings', seq: 1001, replayed: false }, 'right behind the frames that were under way')
})

test('export never has more frames in flight than the window', async (t) => {
  const { gateway, streams, pump, link, stream, drained } = await openRig(t, { batchRowsMax: 5, inFlightFramesMax: 4 })
  let most = 0
  gateway.take = async () => {
    most = Math.max(most, pump.stats.inFlight)
    await new Promise((resolve) => setImmediate(resolve))
  }
  streams.append(stream, 300)
  link.start()
  await drained()
  t.true(most >= 2 && most <= 4, `${most}`)
})

test('export of a stream added while the link is up goes at once', async (t) => {
  const { gateway, streams, pump, link } = await openRig(t)
  link.start()
  await gateway.until(() => gateway.connections === 1)
  const { id, epoch } = streams.open('alarms')
  streams.append(id, 2)
  pump.addStream(id, 'alarms', epoch)
  await gateway.until(() => gateway.rows.length === 2)
  t.deepEqual(
    gateway.rows.map(({ stream, seq }) => `${stream} ${seq}`),
    ['alarms 1', 'alarms 2'],
  )
})

test('export of rows too many for one payload halves the frame, and a single one too large stays without stopping others', async (t) => {
  const { gateway, streams, link, stream } = await openRig(t, { batchBytesMax: 8 * 1024 * 1024 })
  streams.append(stream, 3, 600 * 1024)
  streams.append(stream, 1, 1200 * 1024)
  streams.append(stream, 1)
  link.start()
  await gateway.until(() => gateway.rows.length >= 4)
  t.deepEqual(
    seqs(gateway).toSorted((a, b) => a - b),
    [1, 2, 3, 5],
  )
  while (streams.waiting(stream).length > 1) await new Promise((resolve) => setImmediate(resolve))
  t.deepEqual(streams.waiting(stream), [4])
})

test('export that is idle reads nothing', async (t) => {
  const { gateway, streams, pump, link, stream, drained } = await openRig(t)
  link.start()
  await gateway.until(() => gateway.connections === 1)
  streams.append(stream, 1)
  pump.notify(stream)
  await drained()
  // The last look after the linger finds nothing; after it there is silence.
  await new Promise((resolve) => setTimeout(resolve, 30))
  const { reads } = streams
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.is(streams.reads, reads)
})

test('export with a rate for the backlog keeps to it', async (t) => {
  const { gateway, streams, link, stream, drained } = await openRig(t, { batchRowsMax: 10, backlogRowsPerSecond: 200 })
  streams.append(stream, 50)
  link.start()
  const startedMs = performance.now()
  await drained()
  t.true(performance.now() - startedMs >= 190, 'four waits of 50 ms between five frames')
  t.is(gateway.rows.length, 50)
})

test('export defaults name every limit', (t) => {
  t.like(EXPORT_DEFAULTS, { inFlightFramesMax: 8, batchRowsMax: 1000, batchBytesMax: 512 * 1024 })
})

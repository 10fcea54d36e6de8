import test, { type ExecutionContext } from 'ava'
import { zstdCompressSync } from 'node:zlib'
import { topics, type LogBatch, type Reported } from '../../config/wire.ts'
import { encodeFrame } from '../../runtime/event/frame.ts'
import { emittedRecord, emittedRows, span } from '../support/emitted.ts'
import {
  call,
  closed,
  connectDevice,
  enrol,
  initialiseTrust,
  removeFolder,
  startHub,
  type TestDevice,
  type TestHub,
} from '../support/hub.ts'
import type { MqttClient } from 'mqtt'

interface Fixture {
  hub: TestHub
  device: TestDevice
  link: MqttClient
}

type Run = (t: ExecutionContext, fixture: Fixture) => Promise<void>

const withDevice = test.macro<[string, Run]>({
  async exec(t, _name, run) {
    const hub = await startHub()
    t.teardown(() => removeFolder(hub.dataDir))
    t.teardown(() => hub.stop())
    await initialiseTrust(hub)
    const device = await enrol(hub, 'edge-1')
    const link = await connectDevice(hub, device)
    t.teardown(() => link.endAsync(true))
    await run(t, { hub, device, link })
  },
  title: (_, name) => name,
})

const send = (link: MqttClient, seqs: number[], options: { compress?: boolean } = {}) =>
  link.publishAsync(topics.events('edge-1'), encodeFrame('readings', 'epoch-1', emittedRows(seqs), options), { qos: 1 })

const position = async (hub: TestHub) => (await call(hub, 'GET', '/v1/streams?device=edge-1')).json.streams[0]

test(withDevice, 'hub stream names its gaps while frames come out of order and closes them', async (t, { hub, link }) => {
  await send(link, span(1, 10))
  await send(link, [...span(31, 35), ...span(38, 40)])
  await send(link, span(12, 20))
  const gaps = [
    [11, 11],
    [21, 30],
    [36, 37],
  ]
  t.like(await position(hub), { stream: 'readings', epoch: 'epoch-1', contiguousSeq: 10, maxSeq: 40, stored: 27, gaps })
  await send(link, span(5, 37))
  t.like(await position(hub), { contiguousSeq: 40, maxSeq: 40, stored: 40, gaps: [] })
})

test(withDevice, 'hub stores an event once when its frame is sent many times', async (t, { hub, link }) => {
  const frame = encodeFrame('readings', 'epoch-1', emittedRows(span(1, 50)))
  await Promise.all(span(1, 20).map(() => link.publishAsync(topics.events('edge-1'), frame, { qos: 1 })))
  const { json } = await call(hub, 'GET', '/v1/events?device=edge-1&stream=readings&limit=1000')
  t.deepEqual(
    json.events.map((event: { seq: number }) => event.seq),
    span(1, 50),
  )
  t.like(await position(hub), { stored: 50, contiguousSeq: 50 })
  const status = (await call(hub, 'GET', '/v1/status')).json
  t.like(status.ingest, { rows: 50, duplicates: 950, frames: 20, refused: 0 })
})

test(withDevice, 'hub event comes out with all that the device said of it', async (t, { hub, link }) => {
  const timeMs = Date.UTC(2026, 0, 2, 3, 4, 5)
  const rows = [
    {
      seq: 1,
      record: emittedRecord('{"a":1}', {
        contentType: 'application/json',
        headers: { unit: '°C', __proto__x: 'y' },
        replayed: true,
        timeMs,
      }),
    },
    { seq: 2, record: emittedRecord(Buffer.from([0xff, 0x00])) },
  ]
  await link.publishAsync(topics.events('edge-1'), encodeFrame('readings', 'epoch-1', rows, { compress: false }), { qos: 1 })
  const { events, next } = (await call(hub, 'GET', '/v1/events')).json
  t.is(next, null)
  t.like(events[0], {
    device: 'edge-1',
    stream: 'readings',
    epoch: 'epoch-1',
    seq: 1,
    time: '2026-01-02T03:04:05.000Z',
    contentType: 'application/json',
  })
  t.like(events[0], { headers: { unit: '°C' }, replayed: true, body: '{"a":1}' })
  t.regex(events[0].id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  t.like(events[1], { seq: 2, contentType: null, replayed: false, bodyBase64: '/wA=' })
})

test(withDevice, 'hub events page by page are each event once, by receipt and by stream', async (t, { hub, link }) => {
  await send(link, span(21, 40), { compress: false })
  await send(link, span(1, 20))
  for (const [query, expected] of [
    ['', [...span(21, 40), ...span(1, 20)]],
    ['device=edge-1&stream=readings', span(1, 40)],
    ['device=edge-1', [...span(21, 40), ...span(1, 20)]],
  ] as const) {
    const seqs: number[] = []
    for (let after = ''; ;) {
      const { events, next } = (await call(hub, 'GET', `/v1/events?limit=7&${query}${after}`)).json
      seqs.push(...events.map((event: { seq: number }) => event.seq))
      if (next === null) break
      after = `&after=${next}`
    }
    t.deepEqual(seqs, [...expected], query)
  }
})

test(withDevice, 'hub closes a device that sends a malformed frame, and stores nothing of it', async (t, { hub, link }) => {
  const ended = closed(link)
  const frame = encodeFrame('readings', 'epoch-1', emittedRows(span(1, 5)), { compress: false })
  frame.writeUInt32LE(1_000_000, 28 + 'readingsepoch-1'.length - 4)
  link.publish(topics.events('edge-1'), frame, { qos: 1 }, () => {})
  await ended
  t.deepEqual((await call(hub, 'GET', '/v1/events')).json.events, [])
  t.regex(hub.log(), /frame-invalid/)
})

test(withDevice, 'hub keeps what a device reports and its log lines', async (t, { hub, link }) => {
  const reported: Reported = {
    revision: 3,
    agent: { version: '0.1.0', boot: 2, startedMs: 1 },
    functions: [{ name: 'f', version: 1, state: 'committed', ready: true }],
    streams: [],
    facts: { model: 'pi5' },
  }
  const logs: LogBatch = {
    lines: [
      { timeMs: 1000, level: 'warn', function: 'f', message: 'hot\u001b[31m', fields: { celsius: 91 } },
      { timeMs: 2000, level: 'info', message: 'agent' },
    ],
    dropped: 2,
  }
  await link.publishAsync(topics.reported('edge-1'), JSON.stringify(reported), { qos: 1 })
  await link.publishAsync(topics.logs('edge-1'), zstdCompressSync(JSON.stringify(logs)), { qos: 1 })
  t.like((await call(hub, 'GET', '/v1/devices/edge-1')).json, { reported, facts: { model: 'pi5' }, connected: true })
  const { lines } = (await call(hub, 'GET', '/v1/logs?device=edge-1&function=f')).json
  t.like(lines[0], { level: 'warn', function: 'f', message: 'hot\u001b[31m', fields: { celsius: 91 }, time: '1970-01-01T00:00:01.000Z' })
  t.is(lines.length, 1)
  t.is((await call(hub, 'GET', '/v1/logs')).json.lines.length, 3)
})

test(withDevice, 'hub forgets nothing over a stop and a start', async (t, { hub, device, link }) => {
  await send(link, [...span(1, 5), 9])
  await link.endAsync(true)
  await hub.stop()
  const again = await startHub({ dataDir: hub.dataDir })
  t.teardown(() => again.stop())
  t.is(again.ca, hub.ca)
  t.is(again.token, hub.token)
  const relinked = await connectDevice(again, device)
  await send(relinked, span(4, 8))
  await relinked.endAsync(true)
  t.like(await position(again), { stored: 9, contiguousSeq: 9, gaps: [] })
})

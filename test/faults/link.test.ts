import test from 'ava'
import { ExportPump } from '../../agent/export/export-pump.ts'
import { HubLink } from '../../agent/link/hub-link.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { FakeGateway } from '../support/fake-gateway.ts'
import { FakeStreams } from '../support/fake-streams.ts'

const FLAP = { firstMs: 5, maxMs: 20 }

test('export over a link that is cut again and again loses nothing and releases only what was confirmed', async (t) => {
  const gateway = await FakeGateway.open(t)
  const streams = new FakeStreams()
  const { id, epoch } = streams.open('readings')
  const confirmed = new Set<number>()
  let frames = 0
  gateway.take = (topic, payload) => {
    if (!topic.endsWith('/events')) return Promise.resolve()
    const count = payload.readUInt32LE(8)
    const first = Number(payload.readBigUInt64LE(16))
    if (++frames % 7 === 0) return Promise.reject(new Error('cut'))
    for (let seq = first; seq < first + count; seq++) confirmed.add(seq)
    return Promise.resolve()
  }
  const link = new HubLink({ identity: await gateway.device(), logger: silentLogger, backoff: FLAP })
  const { promise: drained, resolve } = Promise.withResolvers<void>()
  let appended = 0
  const pump = new ExportPump({
    store: streams,
    link,
    device: 'board-1',
    logger: silentLogger,
    settings: { batchRowsMax: 20, lingerMs: 1, fruitlessBackoff: FLAP },
    onReleased: () => {
      t.true(streams.waiting(id).length + confirmed.size >= appended, 'a row that was not confirmed is gone')
      if (appended < 600) append()
      else if (streams.waiting(id).length === 0) resolve()
    },
  })
  function append(): void {
    streams.append(id, 100)
    appended += 100
    pump.notify(id)
  }
  t.teardown(async () => {
    await link.close()
    await pump.close()
  })
  append()
  pump.addStream(id, 'readings', epoch)
  pump.start()
  link.start()
  await drained
  t.is(confirmed.size, appended)
  t.true(gateway.connections > 3)
})

test('frame that makes the hub cut the link is not sent in a loop at full speed', async (t) => {
  const gateway = await FakeGateway.open(t)
  const streams = new FakeStreams()
  const { id, epoch } = streams.open('readings')
  streams.append(id, 1)
  gateway.take = (topic) => (topic.endsWith('/events') ? Promise.reject(new Error('cut')) : Promise.resolve())
  const link = new HubLink({ identity: await gateway.device(), logger: silentLogger, backoff: { firstMs: 1, maxMs: 1 }, stableMs: 0 })
  const waits = { firstMs: 20, maxMs: 10_000 }
  const pump = new ExportPump({
    store: streams,
    link,
    device: 'board-1',
    logger: silentLogger,
    settings: { fruitlessBackoff: waits },
    random: () => 0.999,
  })
  pump.addStream(id, 'readings', epoch)
  t.teardown(async () => {
    await link.close()
    await pump.close()
  })
  pump.start()
  link.start()
  const startedMs = performance.now()
  await gateway.until(() => gateway.rows.length === 5)
  t.true(performance.now() - startedMs >= 19 + 39 + 79 + 159, 'waits of 20, 40, 80 and 160 ms lie between five tries')
  t.deepEqual(streams.waiting(id), [1])
})

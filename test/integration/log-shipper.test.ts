import test from 'ava'
import { zstdDecompressSync } from 'node:zlib'
import { HubLink } from '../../agent/link/hub-link.ts'
import { type LogLine, LogShipper, type LogShipperOptions } from '../../agent/telemetry/logs.ts'
import type { LogBatch } from '../../config/wire.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { FakeGateway } from '../support/fake-gateway.ts'

async function openRig(t: { teardown(fn: () => unknown): void }, options: Partial<LogShipperOptions> = {}) {
  const gateway = await FakeGateway.open(t)
  const link = new HubLink({ identity: await gateway.device(), logger: silentLogger, backoff: { firstMs: 10, maxMs: 20 } })
  const shipper = new LogShipper({ link, device: 'board-1', logger: silentLogger, batchMs: 5, ...options })
  shipper.start()
  t.teardown(async () => {
    await link.close()
    await shipper.close()
  })
  return { gateway, link, shipper }
}

function line(message: string, name?: string): LogLine {
  return { timeMs: 1, level: 'info', message, ...(name && { function: name }) }
}

function batches(gateway: FakeGateway): LogBatch[] {
  return gateway.messages
    .filter(({ topic }) => topic.endsWith('/logs'))
    .map(({ payload }) => JSON.parse(zstdDecompressSync(payload).toString()) as LogBatch)
}

const count = (gateway: FakeGateway) => batches(gateway).reduce((sum, { lines }) => sum + lines.length, 0)

test('log lines that waited for the hub go in order when it is there', async (t) => {
  const { gateway, link, shipper } = await openRig(t)
  for (let i = 0; i < 1500; i++) shipper.add(line(`${i}`))
  link.start()
  await gateway.until(() => count(gateway) === 1500)
  t.deepEqual(
    batches(gateway).flatMap(({ lines }) => lines.map(({ message }) => Number(message))),
    Array.from({ length: 1500 }, (_, i) => i),
  )
})

test('log lines too many to keep are dropped, oldest first, and the hub learns how many', async (t) => {
  const { gateway, link, shipper } = await openRig(t, { linesMax: 80 })
  for (let i = 0; i < 1000; i++) shipper.add(line(`${i}`))
  const { waiting, dropped } = shipper.stats
  t.is(waiting + dropped, 1000)
  t.true(waiting <= 80)
  link.start()
  await gateway.until(() => count(gateway) === waiting)
  t.is(
    batches(gateway).reduce((sum, batch) => sum + (batch.dropped ?? 0), 0),
    dropped,
  )
  t.is(batches(gateway).at(-1)?.lines.at(-1)?.message, '999')
})

test('log batch that makes the hub cut the link is given up, and later lines arrive', async (t) => {
  const { gateway, link, shipper } = await openRig(t)
  gateway.take = (topic, payload) => (zstdDecompressSync(payload).includes('bad') ? Promise.reject(new Error('cut')) : Promise.resolve())
  link.start()
  shipper.add(line('bad'))
  await gateway.until(() => batches(gateway).length === 3)
  shipper.add(line('good'))
  await gateway.until(() => batches(gateway).some(({ lines }) => lines[0]?.message === 'good'))
  t.pass()
})

test('recent lines are kept for the device itself, by function', async (t) => {
  const { shipper } = await openRig(t)
  for (let i = 0; i < 3000; i++) shipper.add(line(`${i}`, i % 2 === 0 ? 'even' : 'odd'))
  t.deepEqual(
    shipper.recent({ function: 'even', limit: 2 }).map(({ message }) => message),
    ['2996', '2998'],
  )
  t.is(shipper.recent({ limit: 5000 }).length, 1000)
})

test('log line of endless length is cut', async (t) => {
  const { shipper } = await openRig(t)
  shipper.add({ ...line('x'.repeat(1_000_000)), fields: { big: 'y'.repeat(1_000_000) } })
  t.true(JSON.stringify(shipper.recent()).length < 20_000)
})

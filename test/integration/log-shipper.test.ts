import test from 'ava'
import { zstdDecompressSync } from 'node:zlib'
import { HubLink } from '../../agent/link/hub-link.ts'
import { LINES_MAX, LogBook } from '../../agent/telemetry/log-book.ts'
import { LogShipper } from '../../agent/telemetry/log-shipper.ts'
import type { LogBatch } from '../../config/wire.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { FakeGateway } from '../support/fake-gateway.ts'

const INFO = 20

async function openRig(t: { teardown(fn: () => unknown): void }) {
  const gateway = await FakeGateway.open(t)
  const link = new HubLink({ identity: await gateway.device(), logger: silentLogger, backoff: { firstMs: 10, maxMs: 20 } })
  const book = new LogBook()
  const shipper = new LogShipper({ link, device: 'board-1', book, logger: silentLogger })
  shipper.start()
  t.teardown(async () => {
    await link.close()
    await shipper.close()
  })
  return { gateway, link, book }
}

function batches(gateway: FakeGateway): LogBatch[] {
  const logs = gateway.messages.filter(({ topic }) => topic.endsWith('/logs'))
  return logs.map(({ payload }) => JSON.parse(zstdDecompressSync(payload).toString()) as LogBatch)
}

const count = (gateway: FakeGateway) => batches(gateway).reduce((sum, { lines }) => sum + lines.length, 0)

test('log lines that waited for the hub go in order when it is there', async (t) => {
  const { gateway, link, book } = await openRig(t)
  for (let i = 0; i < 700; i++) book.add('blink', INFO, `${i}`, '')
  link.start()
  await gateway.until(() => count(gateway) === 700)
  const messages = batches(gateway).flatMap(({ lines }) => lines.map(({ message }) => Number(message)))
  t.deepEqual(
    messages,
    Array.from({ length: 700 }, (_, i) => i),
  )
})

test('log lines pushed out before the hub was there are counted to it', async (t) => {
  const { gateway, link, book } = await openRig(t)
  for (let i = 0; i < LINES_MAX + 25; i++) book.add('blink', INFO, `${i}`, '')
  link.start()
  await gateway.until(() => count(gateway) > 0)
  t.like(batches(gateway)[0], { dropped: 25, lines: { 0: { message: '25' } } })
})

test('log lines that together are too long for one payload go in several', async (t) => {
  const { gateway, link, book } = await openRig(t)
  for (let i = 0; i < 40; i++) book.add('blink', INFO, 'x'.repeat(16_000), '')
  book.add('blink', INFO, 'long', JSON.stringify({ big: 'y'.repeat(1_000_000) }))
  link.start()
  await gateway.until(() => count(gateway) === 41)
  for (const { lines } of batches(gateway)) t.true(JSON.stringify(lines).length < 300_000)
})

test('log batch that makes the hub cut the link is given up, and later lines arrive', async (t) => {
  const { gateway, link, book } = await openRig(t)
  gateway.take = (topic, payload) =>
    topic.endsWith('/logs') && zstdDecompressSync(payload).includes('bad') ? Promise.reject(new Error('cut')) : Promise.resolve()
  link.start()
  book.add('blink', INFO, 'bad', '')
  await gateway.until(() => batches(gateway).length === 3)
  book.add('blink', INFO, 'good', '')
  await gateway.until(() => batches(gateway).some(({ lines }) => lines[0]?.message === 'good'))
  t.is(batches(gateway).at(-1)?.dropped, 1)
})

import test from 'ava'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import type { Desired } from '../../config/wire.ts'
import { HubLink, type HubLinkOptions } from '../../agent/link/hub-link.ts'
import { ReportedState } from '../../agent/link/reported-state.ts'
import { codeOf } from '../../runtime/base/errors.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { FakeGateway } from '../support/fake-gateway.ts'
import { TestCa } from '../support/test-ca.ts'

type Teardown = { teardown(fn: () => unknown): void }

function openLink(t: Teardown, identity: HubLinkOptions['identity'], more: Partial<HubLinkOptions> = {}): HubLink {
  const link = new HubLink({ identity, logger: silentLogger, backoff: { firstMs: 20, maxMs: 100 }, ...more })
  t.teardown(() => link.close())
  link.start()
  return link
}

function becomes(link: HubLink, event: 'onOnline' | 'onOffline'): Promise<void> {
  return new Promise((resolve) => {
    const stop = link.listen({ [event]: () => queueMicrotask(() => (stop(), resolve())) })
  })
}

test('link with the hub there comes online and publishes with confirmation', async (t) => {
  const gateway = await FakeGateway.open(t)
  const link = openLink(t, await gateway.device())
  await becomes(link, 'onOnline')
  await link.publish('dunlin/v1/board-1/reported', 'hello')
  t.is(gateway.messages[0]?.payload.toString(), 'hello')
})

test('link with the hub away keeps trying and comes online when it is there', async (t) => {
  const gateway = await FakeGateway.open(t)
  const identity = await gateway.device()
  await gateway.stop()
  const link = openLink(t, identity)
  t.is(codeOf(await t.throwsAsync(link.publish('a', 'b'))), 'link-offline')
  await gateway.start()
  await becomes(link, 'onOnline')
  t.is(link.state.name, 'online')
})

test('link cut with messages under way rejects each of them and connects again', async (t) => {
  const gateway = await FakeGateway.open(t)
  gateway.take = () => new Promise(() => {})
  const link = openLink(t, await gateway.device())
  await becomes(link, 'onOnline')
  const results = Promise.all(Array.from({ length: 5 }, (_, i) => link.publish('x', `${i}`).then(() => 'confirmed', codeOf)))
  await gateway.until(() => gateway.messages.length > 0)
  const back = gateway.connections + 1
  gateway.cut()
  t.deepEqual(await results, Array(5).fill('link-lost'))
  await gateway.until(() => gateway.connections === back)
  t.is(gateway.messages.filter(({ payload }) => payload.toString() === '0').length, 1, 'nothing is sent again by the client')
})

test('link whose hub cuts at once waits longer each time', async (t) => {
  const gateway = await FakeGateway.open(t)
  const waits: number[] = []
  const link = openLink(t, await gateway.device(), { random: () => 0.999, backoff: { firstMs: 8, maxMs: 40 } })
  const done = new Promise<void>((resolve) => {
    link.listen({
      onOnline: () => gateway.cut(),
      onOffline: () => {
        if (link.state.name === 'offline') waits.push(link.state.retryInMs)
        if (waits.length === 5) resolve()
      },
    })
  })
  await done
  t.deepEqual(waits, [7, 15, 31, 39, 39])
})

test('link to a hub of another CA stays offline with the reason', async (t) => {
  const gateway = await FakeGateway.open(t)
  const other = await TestCa.make()
  const link = openLink(t, { ...(await gateway.device()), ca: other.certificate })
  const lines: string[] = []
  const logger = { ...silentLogger, debug: (fields: object) => lines.push(JSON.stringify(fields)) }
  const watched = openLink(t, { ...(await gateway.device()), ca: other.certificate }, { logger: logger })
  while (!lines.some((line) => line.includes('Cannot trust the hub'))) await new Promise((resolve) => setImmediate(resolve))
  t.not(link.state.name, 'online')
  t.not(watched.state.name, 'online')
  t.is(gateway.connections, 0)
})

test('link closed while a server keeps silent ends at once', async (t) => {
  const ca = await TestCa.make()
  const sockets: net.Socket[] = []
  const server = net.createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const link = openLink(t, { device: 'board-1', ...(await ca.device('board-1')), ca: ca.certificate, gateway: { host: '127.0.0.1', port } })
  await once(server, 'connection')
  await link.close()
  t.is(link.state.name, 'stopped')
  for (const socket of sockets) socket.destroy()
})

test('link passes on a desired state that reads and ignores one that does not', async (t) => {
  const gateway = await FakeGateway.open(t)
  const link = openLink(t, await gateway.device())
  const seen: Desired[] = []
  const got = new Promise<void>((resolve) => link.listen({ onDesired: (desired) => (seen.push(desired), resolve()) }))
  await becomes(link, 'onOnline')
  gateway.sendDesired('board-1', '{"revision":-1}')
  gateway.sendDesired('board-1', { revision: 4, functions: [{ name: 'blink', version: 2 }], hubTimeMs: 1 })
  await got
  t.deepEqual(seen, [{ revision: 4, functions: [{ name: 'blink', version: 2, disabled: false }], hubTimeMs: 1 }])
})

test('reported state goes on connect, and changes in between go as one', async (t) => {
  const gateway = await FakeGateway.open(t)
  const link = openLink(t, await gateway.device())
  let revision = 0
  const collect = () => Promise.resolve({ revision, agent: { version: '1', boot: 1, startedMs: 0 }, functions: [], streams: [], facts: {} })
  const reported = new ReportedState({ link, device: 'board-1', collect, logger: silentLogger, intervalMs: 50 })
  t.teardown(() => reported.close())
  reported.start()
  await gateway.until(() => gateway.messages.length === 1)
  for (revision = 1; revision < 9; revision++) reported.changed()
  await gateway.until(() => gateway.messages.length === 2)
  const revisions = gateway.messages.map(({ payload }) => (JSON.parse(payload.toString()) as { revision: number }).revision)
  t.deepEqual(revisions, [0, 9])
})

import test, { type ExecutionContext } from 'ava'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { topics } from '../../config/wire.ts'
import { encodeFrame } from '../../runtime/event/frame.ts'
import { emittedRows } from '../support/emitted.ts'
import {
  call,
  closed,
  connectDevice,
  enrol,
  initialiseTrust,
  refusal,
  removeFolder,
  startHub,
  temporaryFolder,
  type TestHub,
} from '../support/hub.ts'

async function freshHub(t: ExecutionContext): Promise<TestHub> {
  const hub = await startHub()
  t.teardown(() => removeFolder(hub.dataDir))
  t.teardown(() => hub.stop())
  await initialiseTrust(hub)
  return hub
}

test('device cannot publish as another, and nothing of it is stored', async (t) => {
  const hub = await freshHub(t)
  const [a] = [await enrol(hub, 'edge-a'), await enrol(hub, 'edge-b')]
  const frame = encodeFrame('readings', 'e', emittedRows([1]))
  for (const topic of [topics.events('edge-b'), topics.desired('edge-b'), topics.desired('edge-a'), 'dunlin/v1/edge-a/other', '$SYS/x']) {
    const link = await connectDevice(hub, a)
    const ended = closed(link)
    link.publish(topic, frame, { qos: 1 }, () => {})
    await ended
    t.pass(topic)
  }
  t.deepEqual((await call(hub, 'GET', '/v1/events')).json.events, [])
})

test('device reads its own desired state and no other topic', async (t) => {
  const hub = await freshHub(t)
  const [a] = [await enrol(hub, 'edge-a'), await enrol(hub, 'edge-b')]
  for (const filter of [topics.desired('edge-b'), 'dunlin/v1/+/desired', '#', topics.events('edge-a'), '$SYS/#']) {
    const link = await connectDevice(hub, a)
    await t.throwsAsync(link.subscribeAsync(filter, { qos: 1 }), undefined, filter)
    await link.endAsync(true)
  }
})

test('client id that is not the certificate name is refused', async (t) => {
  const hub = await freshHub(t)
  const a = await enrol(hub, 'edge-a')
  await enrol(hub, 'edge-b')
  await t.throwsAsync(connectDevice(hub, a, { clientId: 'edge-b' }))
})

test('client without a certificate, or with one of another authority, is refused', async (t) => {
  const [hub, other] = [await freshHub(t), await freshHub(t)]
  const stranger = await enrol(other, 'edge-a')
  await enrol(hub, 'edge-a')
  await t.notThrowsAsync(refusal(hub, { clientId: 'edge-a', cert: stranger.certificate, key: stranger.key }))
  await t.notThrowsAsync(refusal(hub, { clientId: 'edge-a' }))
})

test('decommissioned device loses its live session and is not let in again', async (t) => {
  const hub = await freshHub(t)
  const device = await enrol(hub, 'edge-a')
  const link = await connectDevice(hub, device)
  const ended = closed(link)
  await call(hub, 'DELETE', '/v1/devices/edge-a')
  await ended
  await t.throwsAsync(connectDevice(hub, device))
  t.is((await call(hub, 'GET', '/device/v1/tuf/timestamp.json', { as: device })).status, 403)
  t.like((await call(hub, 'GET', '/v1/devices/edge-a')).json, { state: 'decommissioned', connected: false })
})

test('hub whose port is taken does not start and names the setting', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  for (const setting of ['api', 'gateway'] as const) {
    const error = await t.throwsAsync(startHub({ dataDir, overrides: { [setting]: `127.0.0.1:${port}` } }))
    t.regex(`${error.message} ${(error as { hint?: string }).hint}`, new RegExp(setting))
  }
  const hub = await startHub({ dataDir })
  await hub.stop()
})

test('second hub on the same data directory does not start', async (t) => {
  const hub = await freshHub(t)
  await t.throwsAsync(startHub({ dataDir: hub.dataDir }), { code: 'data-dir-in-use' })
})

import test, { type ExecutionContext } from 'ava'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { topics, type Desired } from '../../config/wire.ts'
import { Publisher } from '../../agent/publisher/publisher.ts'
import {
  call,
  connectDevice,
  enrol,
  initialiseTrust,
  newestTargets,
  publish,
  removeFolder,
  sha256,
  startHub,
  temporaryFolder,
  type TestHub,
} from '../support/hub.ts'
import { deviceUpdater } from '../support/tuf-device.ts'

async function freshHub(t: ExecutionContext): Promise<{ hub: TestHub; publisher: Publisher; folder: string }> {
  const folder = temporaryFolder()
  t.teardown(() => removeFolder(folder))
  const hub = await startHub({ dataDir: join(folder, 'hub') })
  t.teardown(() => hub.stop())
  return { hub, publisher: await initialiseTrust(hub, join(folder, 'publisher')), folder }
}

test('device verifies a published function with a TUF client, from its first root to the manifest', async (t) => {
  const { hub, publisher, folder } = await freshHub(t)
  const device = await enrol(hub, 'edge-1')
  t.like((await publish(hub, publisher, 'thermo', 1)).json, { name: 'thermo', version: 1 })
  t.is((await publish(hub, publisher, 'thermo', 2, { 'function.yaml': 'a: 1\n', 'main.py': 'x = 1\n' })).status, 200)
  const updater = deviceUpdater(hub, device, join(folder, 'device'))
  for (const version of [1, 2]) {
    const target = await updater.getTargetInfo(`functions/thermo/${version}.json`)
    const file = await updater.downloadTarget(target!, join(folder, `manifest-${version}`))
    t.like(JSON.parse(readFileSync(file, 'utf8')), { dunlin: 1, name: 'thermo', version })
  }
  t.is(await updater.getTargetInfo('functions/thermo/3.json'), undefined)
  t.like((await call(hub, 'GET', '/v1/functions')).json.functions, { length: 2 })
})

test('publication is refused when the manifest, the targets or a file are not what was signed', async (t) => {
  const { hub, publisher, folder } = await freshHub(t)
  const text = 'spec: {}\n'
  const manifestOf = (more: object) =>
    JSON.stringify({
      dunlin: 1,
      name: 'thermo',
      version: 1,
      files: [{ path: 'function.yaml', size: text.length, sha256: sha256(text) }],
      config: 'function.yaml',
      ...more,
    })
  const manifest = manifestOf({})
  const targets = publisher.add(await newestTargets(hub), { name: 'thermo', version: 1, manifest })
  const post = async (body: object) => {
    const { status, json } = await call(hub, 'POST', '/v1/functions', { body })
    return `${status} ${json.error?.code ?? 'ok'}`
  }
  t.is(await post({ manifest, targets }), '400 blob-missing')
  await call(hub, 'PUT', `/v1/blobs/${sha256(text)}`, { body: text })

  t.is(await post({ manifest: `${manifest} `, targets }), '422 target-mismatch')
  t.is(await post({ manifest: manifestOf({ version: 2 }), targets }), '422 target-missing')
  t.is(await post({ manifest, targets: targets.replace(/"length":\d+/, '"length":1') }), '422 signature-missing')
  t.is(await post({ manifest, targets: targets.replace('"signatures":[{', '"signatures":[],"x":[{') }), '422 signature-missing')
  t.is(await post({ manifest, targets: '{}' }), '422 metadata-invalid')
  t.is(await post({ manifest, targets: targets.replace(/"sig":"../, '"sig":"00') }), '422 signature-missing')

  const stranger = Publisher.open(join(folder, 'stranger'))
  const foreign = stranger.initialise((await call(hub, 'GET', '/v1/tuf/online-keys')).json).targets
  t.is(await post({ manifest, targets: stranger.add(foreign, { name: 'thermo', version: 1, manifest }) }), '422 signature-missing')

  const wrongSize = manifestOf({ files: [{ path: 'function.yaml', size: 3, sha256: sha256(text) }] })
  const sign = async (signed: string) => publisher.add(await newestTargets(hub), { name: 'thermo', version: 1, manifest: signed })
  t.is(await post({ manifest: wrongSize, targets: await sign(wrongSize) }), '422 size-mismatch')
  const noConfig = manifestOf({ config: 'other.yaml' })
  t.is(await post({ manifest: noConfig, targets: await sign(noConfig) }), '400 config-missing')

  t.is((await call(hub, 'GET', '/v1/status')).json.trust.targetsVersion, 1)
  t.is(await post({ manifest, targets }), '200 ok')
  t.is(await post({ manifest, targets }), '200 ok', 'the same again')
  t.is((await call(hub, 'GET', '/v1/status')).json.trust.targetsVersion, 2)
})

test('publication over somebody else, of an old version, or of a changed one is refused', async (t) => {
  const { hub, publisher } = await freshHub(t)
  const first = await newestTargets(hub)
  await publish(hub, publisher, 'thermo', 2)
  const text = 'spec: {}\n'
  const manifest = JSON.stringify({
    dunlin: 1,
    name: 'other',
    version: 1,
    files: [{ path: 'function.yaml', size: text.length, sha256: sha256(text) }],
    config: 'function.yaml',
  })
  const raced = await call(hub, 'POST', '/v1/functions', {
    body: { manifest, targets: publisher.add(first, { name: 'other', version: 1, manifest }) },
  })
  t.is(raced.status, 409)
  t.is(raced.json.error.code, 'version-conflict')
  t.is((await publish(hub, publisher, 'thermo', 1)).json.error.code, 'version-not-newer')
  await t.throwsAsync(publish(hub, publisher, 'thermo', 2, { 'function.yaml': 'changed: 1\n' }), { code: 'target-changed' })
  publisher.confirm(await newestTargets(hub))
  t.throws(() => publisher.add(first, { name: 'other', version: 1, manifest }), { code: 'targets-rolled-back' })
})

test('root is taken once, and another only when the first one signed it', async (t) => {
  const { hub, folder } = await freshHub(t)
  const keys = (await call(hub, 'GET', '/v1/tuf/online-keys')).json
  const stranger = Publisher.open(join(folder, 'stranger')).initialise(keys)
  const refused = await call(hub, 'POST', '/v1/tuf/init', { body: stranger })
  t.is(refused.status, 409)
  t.is(refused.json.error.code, 'version-conflict')
  const same = Publisher.open(join(folder, 'publisher')).initialise(keys)
  t.is((await call(hub, 'POST', '/v1/tuf/init', { body: same })).status, 200)
})

test('root that does not name the hub keys is refused', async (t) => {
  const folder = temporaryFolder()
  t.teardown(() => removeFolder(folder))
  const hub = await startHub({ dataDir: join(folder, 'hub') })
  t.teardown(() => hub.stop())
  const other = await startHub({ dataDir: join(folder, 'other') })
  t.teardown(() => other.stop())
  const foreign = Publisher.open(join(folder, 'publisher')).initialise((await call(other, 'GET', '/v1/tuf/online-keys')).json)
  t.is((await call(hub, 'POST', '/v1/tuf/init', { body: foreign })).json.error.code, 'online-key-missing')
})

test('release reaches a device that is connected, and one that comes later', async (t) => {
  const { hub, publisher } = await freshHub(t)
  const [near, far] = [await enrol(hub, 'edge-1'), await enrol(hub, 'edge-2')]
  await publish(hub, publisher, 'thermo', 1)
  await publish(hub, publisher, 'pump', 4)
  const seen: Desired[] = []
  let arrived = () => {}
  const link = await connectDevice(hub, near)
  t.teardown(() => link.endAsync(true))
  link.on('message', (_topic, payload) => {
    seen.push(JSON.parse(payload.toString()))
    arrived()
  })
  const next = async (count: number) => {
    while (seen.length < count) await new Promise<void>((resolve) => (arrived = resolve))
    return seen[count - 1]!
  }
  await link.subscribeAsync(topics.desired('edge-1'), { qos: 1 })
  t.like(await next(1), { revision: 0, functions: [] })

  const release = (body: object) => call(hub, 'POST', '/v1/releases', { body })
  t.deepEqual((await release({ functions: [{ name: 'thermo', version: 1 }], devices: '*' })).json, {
    release: 1,
    devices: ['edge-1', 'edge-2'],
  })
  t.like(await next(2), { revision: 1, functions: [{ name: 'thermo', version: 1, disabled: false }] })
  await release({ functions: [{ name: 'pump', version: 4, disabled: true }], devices: ['edge-1'] })
  t.deepEqual((await next(3)).functions, [
    { name: 'pump', version: 4, disabled: true },
    { name: 'thermo', version: 1, disabled: false },
  ])
  await release({ remove: ['thermo'], devices: ['edge-1'] })
  t.like(await next(4), { revision: 3, functions: [{ name: 'pump', version: 4 }] })
  t.deepEqual((await release({ remove: ['thermo'], devices: ['edge-1'] })).json.devices, [])

  const newcomer = await enrol(hub, 'edge-3')
  const newcomersLink = await connectDevice(hub, newcomer)
  t.teardown(() => newcomersLink.endAsync(true))
  const first = new Promise<Desired>((resolve) =>
    newcomersLink.once('message', (_topic, payload) => resolve(JSON.parse(payload.toString()))),
  )
  await newcomersLink.subscribeAsync(topics.desired('edge-3'), { qos: 1 })
  t.like(await first, { revision: 1, functions: [{ name: 'thermo', version: 1, disabled: false }] })

  t.is((await release({ functions: [{ name: 'pump', version: 5 }], devices: '*' })).json.error.code, 'function-unknown')
  t.is((await release({ functions: [], devices: ['nobody'] })).status, 404)

  const late = await connectDevice(hub, far)
  t.teardown(() => late.endAsync(true))
  const told = new Promise<Desired>((resolve) => late.once('message', (_topic, payload) => resolve(JSON.parse(payload.toString()))))
  await late.subscribeAsync(topics.desired('edge-2'), { qos: 1 })
  const desired = await told
  t.like(desired, { revision: 1, functions: [{ name: 'thermo', version: 1 }] })
  t.true(Math.abs(desired.hubTimeMs - Date.now()) < 60_000)
})

test('trust and functions are the same after a stop and a start', async (t) => {
  const { hub, publisher, folder } = await freshHub(t)
  const device = await enrol(hub, 'edge-1')
  await publish(hub, publisher, 'thermo', 1)
  await hub.stop()
  const again = await startHub({ dataDir: hub.dataDir })
  t.teardown(() => again.stop())
  t.like((await call(again, 'GET', '/v1/functions')).json.functions, [{ name: 'thermo', version: 1 }])
  const updater = deviceUpdater(again, device, join(folder, 'device'))
  t.truthy(await updater.getTargetInfo('functions/thermo/1.json'))
  t.is((await publish(again, publisher, 'thermo', 2)).status, 200)
})

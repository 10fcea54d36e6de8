/** The publisher changes its keys: the next root is signed by the old root key and the new one. */
import test, { type ExecutionContext } from 'ava'
import { Key, Metadata, MetadataKind, Root, Targets, type TargetFile } from '@tufjs/models'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openSigningKey, type SigningKey } from '../../runtime/base/signing-key.ts'
import {
  call,
  enrol,
  initialiseTrust,
  newestTargets,
  publish,
  removeFolder,
  startHub,
  temporaryFolder,
  type TestHub,
} from '../support/hub.ts'
import { deviceUpdater } from '../support/tuf-device.ts'

interface Fixture {
  readonly folder: string
  readonly hub: TestHub
  readonly oldRoot: SigningKey
  readonly newRoot: SigningKey
  readonly newTargets: SigningKey
}

async function rotating(t: ExecutionContext): Promise<Fixture> {
  const folder = temporaryFolder()
  t.teardown(() => removeFolder(folder))
  const hub = await startHub({ dataDir: join(folder, 'hub') })
  t.teardown(() => hub.stop())
  await publish(hub, await initialiseTrust(hub, join(folder, 'publisher')), 'thermo', 1)
  const key = (name: string) => openSigningKey(join(folder, name))
  return { folder, hub, oldRoot: key('publisher/root.key'), newRoot: key('new-root.key'), newTargets: key('new-targets.key') }
}

async function nextRoot({ hub, newRoot, newTargets }: Fixture, signers: readonly SigningKey[], version = 2): Promise<string> {
  const { json } = await call(hub, 'GET', '/v1/tuf/online-keys')
  const root = new Root({ version, specVersion: '1.0.31', expires: '2040-01-01T00:00:00Z', consistentSnapshot: true })
  root.addKey(newRoot.key, 'root')
  root.addKey(newTargets.key, 'targets')
  for (const role of ['snapshot', 'timestamp']) {
    const { keyid, ...key } = json[role]
    root.addKey(Key.fromJSON(keyid, key), role)
  }
  return signed(new Metadata(root), signers)
}

async function nextTargets(
  { hub, newTargets }: Fixture,
  change: (files: TargetFile[]) => TargetFile[] = (files) => files,
): Promise<string> {
  const previous = Metadata.fromJSON(MetadataKind.Targets, JSON.parse(await newestTargets(hub))).signed
  const targets = new Targets({ version: previous.version + 1, specVersion: '1.0.31', expires: '2040-01-01T00:00:00Z' })
  for (const file of change(Object.values(previous.targets))) targets.addTarget(file)
  return signed(new Metadata(targets), [newTargets])
}

function signed(metadata: Metadata<Root> | Metadata<Targets>, signers: readonly SigningKey[]): string {
  for (const signer of signers) metadata.sign((data) => signer.sign(data))
  return JSON.stringify(metadata.toJSON())
}

test('root with new keys is taken when the old root key signed it, and an enrolled device follows', async (t) => {
  const fixture = await rotating(t)
  const { hub, folder, oldRoot, newRoot } = fixture
  const device = await enrol(hub, 'edge-1')
  const root = await nextRoot(fixture, [oldRoot, newRoot])
  const answer = await call(hub, 'POST', '/v1/tuf/init', { body: { root, targets: await nextTargets(fixture) } })
  t.like(answer.json, { rootVersion: 2, targetsVersion: 3 })
  const updater = deviceUpdater(hub, device, join(folder, 'device'))
  t.truthy(await updater.getTargetInfo('functions/thermo/1.json'))
  t.is((await call(hub, 'GET', '/v1/functions')).json.functions.length, 1)
})

test('root that the old root key did not sign, or that skips a version, is refused', async (t) => {
  const fixture = await rotating(t)
  const { hub, oldRoot, newRoot } = fixture
  const targets = await nextTargets(fixture)
  const post = async (root: string) => (await call(hub, 'POST', '/v1/tuf/init', { body: { root, targets } })).json.error.code
  t.is(await post(await nextRoot(fixture, [newRoot])), 'signature-missing')
  t.is(await post(await nextRoot(fixture, [oldRoot])), 'signature-missing')
  t.is(await post(await nextRoot(fixture, [oldRoot, newRoot], 3)), 'version-conflict')
  t.like((await call(hub, 'GET', '/v1/status')).json.trust, { rootVersion: 1, targetsVersion: 2 })
})

test('targets left out by the publisher are withdrawn, and cannot be released any more', async (t) => {
  const fixture = await rotating(t)
  const { hub, oldRoot, newRoot } = fixture
  await enrol(hub, 'edge-1')
  const body = { root: await nextRoot(fixture, [oldRoot, newRoot]), targets: await nextTargets(fixture, () => []) }
  t.is((await call(hub, 'POST', '/v1/tuf/init', { body })).status, 200)
  t.deepEqual((await call(hub, 'GET', '/v1/functions')).json.functions, [])
  const release = await call(hub, 'POST', '/v1/releases', { body: { functions: [{ name: 'thermo', version: 1 }], devices: '*' } })
  t.is(release.json.error.code, 'function-unknown')
})

test('hub that lost power between the new root and its timestamp starts with both', async (t) => {
  const fixture = await rotating(t)
  const { hub, oldRoot, newRoot } = fixture
  const [root, targets] = [await nextRoot(fixture, [oldRoot, newRoot]), await nextTargets(fixture)]
  await hub.stop()
  writeFileSync(join(hub.dataDir, 'tuf/3.targets.json'), targets)
  writeFileSync(join(hub.dataDir, 'tuf/2.root.json'), root)
  const again = await startHub({ dataDir: hub.dataDir })
  t.teardown(() => again.stop())
  t.like((await call(again, 'GET', '/v1/status')).json.trust, { rootVersion: 2, targetsVersion: 3 })
  const device = await enrol(again, 'edge-1')
  t.truthy(await deviceUpdater(again, device, join(fixture.folder, 'device')).getTargetInfo('functions/thermo/1.json'))
})

test('publisher whose hub lost all its data begins again with the next root, and devices that enrol anew trust it', async (t) => {
  const { folder, hub } = await rotating(t)
  await hub.stop()
  const fresh = await startHub({ dataDir: join(folder, 'fresh-hub') })
  t.teardown(() => fresh.stop())
  const publisher = await initialiseTrust(fresh, join(folder, 'publisher'))
  t.like((await call(fresh, 'GET', '/v1/status')).json.trust, { rootVersion: 2, targetsVersion: 2 })
  await initialiseTrust(fresh, join(folder, 'publisher'))
  const device = await enrol(fresh, 'edge-1')
  t.is((await publish(fresh, publisher, 'thermo', 1)).status, 200)
  t.truthy(await deviceUpdater(fresh, device, join(folder, 'device')).getTargetInfo('functions/thermo/1.json'))
})

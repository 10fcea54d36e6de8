import test from 'ava'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { HubLink } from '../../agent/link/hub-link.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { call, isCommitted, isRolledBack, openDeployRig } from '../support/deploy-rig.ts'
import { sha256 } from '../support/hub.ts'

const read = (...parts: string[]) => readFileSync(path.join(...parts), 'utf8')

test('deployment of a released version goes from the hub to a running function', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1, { 'function.yaml': 'a: 1\n', 'lib/deep/main.js': 'export {}\n' })
  const link = new HubLink({ identity: rig.identity, logger: silentLogger })
  t.teardown(() => link.close())
  link.listen({ onDesired: (desired) => void rig.deployer.apply(desired) })
  link.start()
  const answer = await call(rig.hub, 'POST', '/v1/releases', { body: { functions: [{ name: 'blink', version: 1 }], devices: '*' } })
  t.is(answer.status, 200, answer.bytes.toString())
  await rig.until(isCommitted('blink', 1))
  const { directory } = rig.processor.running.get('blink')!
  t.is(read(directory, 'lib/deep/main.js'), 'export {}\n')
  t.is(statSync(path.join(directory, 'function.yaml')).mode & 0o777, 0o644)
  t.is(read(rig.dataDir, 'functions/blink/current'), '1\n')
  t.true(rig.deployer.revision > 0)
})

test('deployment of a second version replaces the first and keeps the last good one beside it on disk', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2, 3]) {
    await rig.publish('blink', version)
    await rig.desire(['blink', version])
    await rig.until(isCommitted('blink', version))
  }
  await rig.deployer.settled()
  await rig.restart()
  t.deepEqual(rig.processor.running.get('blink')?.version, 3)
  const kept = readdirSync(path.join(rig.dataDir, 'functions/blink')).sort()
  t.deepEqual(kept, ['1', '1.json', '3', '3.json', 'current'], 'the second has not proven itself')
})

test('boot starts what is committed with the hub away', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  await rig.hub.stop()
  await rig.restart()
  t.deepEqual(rig.processor.log, ['+blink 1'])
})

test('deployment whose version does not start rolls back to the old one and is not tried again', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('blink', 2)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  rig.processor.failing.set('blink 2', 'SyntaxError: no')
  await rig.desire(['blink', 2])
  await rig.until((functions) => isRolledBack('blink', 2)(functions) && isCommitted('blink', 1)(functions))
  t.regex(rig.deployer.functions.find(({ version }) => version === 2)?.error ?? '', /SyntaxError: no/)
  t.is(rig.processor.running.get('blink')?.version, 1)
  await rig.restart()
  t.deepEqual(rig.processor.log, ['+blink 1'])
  t.false(existsSync(path.join(rig.dataDir, 'functions/blink/2')))
})

test('version that fails in probation is rolled back', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until((functions) => functions.some(({ state }) => state === 'activating' || state === 'probation'))
  rig.deployer.versionFailed('blink', 1, new Error('worker exits again and again'))
  await rig.until(isRolledBack('blink', 1))
  t.regex(rig.deployer.functions[0]?.error ?? '', /exits again and again/)
  await rig.until(() => !rig.processor.running.has('blink'))
})

test('function that is disabled stops, keeps its files, and starts again when enabled', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  await rig.desire(['blink', 1, true])
  await rig.until((functions) => functions.some(({ ready }) => !ready))
  t.false(rig.processor.running.has('blink'))
  await rig.restart()
  t.deepEqual(rig.processor.log, [])
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
})

test('function that is not desired any more is stopped and its files go', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('other', 1, { 'function.yaml': 'o: 1\n' })
  await rig.desire(['blink', 1], ['other', 1])
  await rig.until((functions) => isCommitted('blink', 1)(functions) && isCommitted('other', 1)(functions))
  await rig.desire(['other', 1])
  await rig.until((functions) => functions.length === 1)
  t.deepEqual([...rig.processor.running.keys()], ['other'])
  t.false(existsSync(path.join(rig.dataDir, 'functions/blink')))
})

test('desired state older than the last is ignored', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('blink', 2)
  await rig.deployer.apply({ revision: 9, functions: [{ name: 'blink', version: 2, disabled: false }], hubTimeMs: 0 })
  await rig.until(isCommitted('blink', 2))
  await rig.deployer.apply({ revision: 8, functions: [{ name: 'blink', version: 1, disabled: false }], hubTimeMs: 0 })
  t.is(rig.deployer.revision, 9)
  t.is(rig.processor.running.get('blink')?.version, 2)
})

test('version that no publisher signed is refused', async (t) => {
  const rig = await openDeployRig(t)
  await rig.desire(['blink', 7])
  await rig.until(isRolledBack('blink', 7))
  t.regex(rig.deployer.functions[0]?.error ?? '', /no publisher has signed it/)
  t.deepEqual(rig.processor.log, [])
})

test('file changed on the hub is refused, and the old version goes on', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  const text = 'export const version = "two"\n'
  await rig.publish('blink', 2, { 'function.yaml': 'a: 2\n', 'main.js': text })
  const digest = sha256(text)
  writeFileSync(path.join(rig.hub.dataDir, 'blobs', digest.slice(0, 2), digest), text.replace('two', 'bad'))
  await rig.desire(['blink', 2])
  await rig.until(isRolledBack('blink', 2))
  t.regex(rig.deployer.functions.find(({ version }) => version === 2)?.error ?? '', new RegExp(digest))
  t.is(rig.processor.running.get('blink')?.version, 1)
})

test('file changed on the device is refused at boot and deployed again from the hub', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  const { directory } = rig.processor.running.get('blink')!
  writeFileSync(path.join(directory, 'main.js'), 'export const version = 666\n')
  await rig.restart()
  await rig.until(isCommitted('blink', 1))
  t.is(read(directory, 'main.js'), 'export const version = 1\n')
  t.deepEqual(rig.processor.log, ['+blink 1'], 'it never ran as it was')
})

/** Aliases on their way from the hub to a device: each is deployed, judged and rolled back by itself. */
import test from 'ava'
import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { Desired, Reported } from '../../config/wire.ts'
import { HubLink } from '../../agent/link/hub-link.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { enrol } from '../support/hub.ts'
import { call, isCommitted, openDeployRig, type DeployRig } from '../support/deploy-rig.ts'

type Aliases = NonNullable<Desired['functions'][number]['aliases']>

let revision = 0
function desire(rig: DeployRig, version: number, aliases: Record<string, number>, disabled = false): Promise<void> {
  const list: Aliases = Object.entries(aliases).map(([alias, number]) => ({ alias, version: number, disabled: false }))
  return rig.deployer.apply({ revision: ++revision, functions: [{ name: 'blink', version, disabled, aliases: list }], hubTimeMs: 0 })
}

const has =
  (alias: string | undefined, version: number, state: string) =>
  (functions: Reported['functions']): boolean =>
    functions.some((fn) => fn.alias === alias && fn.version === version && fn.state === state && (state !== 'committed' || fn.ready))

const running = (rig: DeployRig) => Object.fromEntries([...rig.processor.running].map(([name, { version }]) => [name, version]))

test('alias runs beside production, is kept on disk with it, and starts again at boot without the hub', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2, 3]) await rig.publish('blink', version)
  await desire(rig, 1, { test: 2 })
  await rig.until((functions) => isCommitted('blink', 1)(functions) && has('test', 2, 'committed')(functions))
  await desire(rig, 3, { test: 2 })
  await rig.until(has(undefined, 3, 'committed'))
  await rig.deployer.settled()
  t.deepEqual(running(rig), { blink: 3, 'blink@test': 2 })
  const kept = readdirSync(path.join(rig.dataDir, 'functions/blink')).sort()
  t.deepEqual(kept, ['1', '1.json', '2', '2.json', '3', '3.json', 'current', 'current@test'])
  await rig.hub.stop()
  await rig.restart()
  t.deepEqual(rig.processor.log, ['+blink@test 2', '+blink 3'], 'the alias first: triggers listen with production')
})

test('alias whose new version does not start goes back to its old one, and production is not touched', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2, 3]) await rig.publish('blink', version)
  await desire(rig, 1, { test: 2 })
  await rig.until(has('test', 2, 'committed'))
  rig.processor.failing.set('blink@test 3', 'SyntaxError: no')
  rig.processor.log.length = 0
  await desire(rig, 1, { test: 3 })
  await rig.until((functions) => has('test', 3, 'rolledback')(functions) && has('test', 2, 'committed')(functions))
  t.deepEqual(rig.processor.log, ['+blink@test 3', '+blink@test 2'])
  t.deepEqual(running(rig), { blink: 1, 'blink@test': 2 })
})

test('version that fails in its probation under one alias goes on as production', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2]) await rig.publish('blink', version)
  await desire(rig, 1, {})
  await rig.until(has(undefined, 1, 'committed'))
  await desire(rig, 1, { test: 1, next: 2 })
  await rig.until((functions) => functions.some(({ alias, state }) => alias === 'test' && ['activating', 'probation'].includes(state)))
  rig.deployer.versionFailed('blink@test', 1, new Error('worker exits again and again'))
  await rig.until((functions) => has('test', 1, 'rolledback')(functions) && has('next', 2, 'committed')(functions))
  t.deepEqual(running(rig), { blink: 1, 'blink@next': 2 })
  t.true(existsSync(path.join(rig.dataDir, 'functions/blink/1')))
})

test('promotion takes the files that are there and does not touch those that run', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2]) await rig.publish('blink', version)
  await desire(rig, 1, { test: 2 })
  await rig.until(has('test', 2, 'committed'))
  const directory = rig.processor.running.get('blink@test')!.directory
  const before = statSync(path.join(directory, 'main.js')).ino
  await desire(rig, 2, { test: 2 })
  await rig.until(has(undefined, 2, 'committed'))
  t.is(rig.processor.running.get('blink')!.directory, directory)
  t.is(statSync(path.join(directory, 'main.js')).ino, before)
})

test('alias that is not desired any more stops and its version goes; one that is disabled with its function comes back', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2]) await rig.publish('blink', version)
  await desire(rig, 1, { test: 2 })
  await rig.until(has('test', 2, 'committed'))
  await desire(rig, 1, { test: 2 }, true)
  await rig.until((functions) => functions.every(({ ready }) => !ready))
  t.deepEqual(running(rig), {})
  await desire(rig, 1, { test: 2 })
  await rig.until((functions) => functions.every(({ ready }) => ready))
  await desire(rig, 1, {})
  await rig.until((functions) => functions.length === 1)
  await rig.deployer.settled()
  t.deepEqual(running(rig), { blink: 1 })
  t.deepEqual(readdirSync(path.join(rig.dataDir, 'functions/blink')).sort(), ['1', '1.json', 'current'])
})

test('release of an alias and routes reaches the device, and is refused without production', async (t) => {
  const rig = await openDeployRig(t)
  for (const version of [1, 2]) await rig.publish('blink', version)
  const release = (body: object) => call(rig.hub, 'POST', '/v1/releases', { body })
  const alone = await release({ functions: [{ name: 'blink', version: 2, alias: 'test' }], devices: ['board-1'] })
  t.is(alone.status, 400)
  t.is(alone.json.error.code, 'function-not-assigned')
  t.is((await release({ routes: { blink: [{ alias: 'test' }] }, devices: '*' })).json.error.code, 'function-not-assigned')

  const link = new HubLink({ identity: rig.identity, logger: silentLogger })
  t.teardown(() => link.close())
  link.listen({ onDesired: (desired) => void rig.deployer.apply(desired) })
  link.start()
  await release({ functions: [{ name: 'blink', version: 1 }], devices: '*' })
  const routes = [{ path: '/beta', alias: 'test' }]
  const both = await release({ functions: [{ name: 'blink', version: 2, alias: 'test' }], routes: { blink: routes }, devices: '*' })
  t.deepEqual(both.json.devices, ['board-1'])
  await rig.until((functions) => isCommitted('blink', 1)(functions) && has('test', 2, 'committed')(functions))
  t.deepEqual(rig.processor.routes.get('blink'), routes)
  const { desired } = (await call(rig.hub, 'GET', '/v1/devices/board-1')).json
  t.deepEqual(desired.functions, [
    { name: 'blink', version: 1, disabled: false, aliases: [{ alias: 'test', version: 2, disabled: false }], routes },
  ])
  const again = await release({ functions: [{ name: 'blink', version: 2, alias: 'test' }], routes: { blink: routes }, devices: '*' })
  t.deepEqual(again.json.devices, [], 'the same again changes nothing')
  t.is((await release({ routes: { blink: [{ path: '/beta' }] }, devices: '*' })).status, 400)
  const late = await enrol(rig.hub, 'board-2')
  t.deepEqual(
    (await call(rig.hub, 'GET', `/v1/devices/${late.device}`)).json.desired.functions,
    desired.functions,
    'a device that enrols later',
  )
  await release({ remove: ['blink@test'], routes: { blink: null }, devices: '*' })
  await rig.until((functions) => functions.length === 1)
  t.is(rig.processor.routes.get('blink'), undefined)
})

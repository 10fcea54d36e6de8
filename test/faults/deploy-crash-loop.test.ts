/** U10: a version that was committed and then keeps ending gives its place back to the one before it. */
import test, { type ExecutionContext } from 'ava'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { VersionStore } from '../../agent/deploy/version-store.ts'
import { CRASH_POINTS } from '../../runtime/base/crash-point.ts'
import { FunctionError } from '../../runtime/base/errors.ts'
import { runDeployChild } from '../support/deploy-child-process.ts'
import { type DeployRig, isCommitted, isRolledBack, openDeployRig } from '../support/deploy-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const ended = (rig: DeployRig, version: number, times: number, name = 'blink', worker = 0) => {
  for (let end = 0; end < times; end++) rig.deployer.workerEnded(name, version, worker, new Error('exit code 7'))
}

/** Versions 1 .. `count`, each committed in place of the one before. */
async function openWith(t: ExecutionContext, count: number, options: Parameters<typeof openDeployRig>[1] = {}): Promise<DeployRig> {
  const rig = await openDeployRig(t, options)
  for (let version = 1; version <= count; version++) {
    await rig.publish('blink', version)
    await rig.desire(['blink', version])
    await rig.until(isCommitted('blink', version))
    await rig.deployer.settled()
  }
  return rig
}

const isBackTo = (good: number, bad: number) => (functions: DeployRig['deployer']['functions']) =>
  isCommitted('blink', good)(functions) && isRolledBack('blink', bad)(functions)

test('committed version in a crash loop is rolled back, and is not started again after a restart of the agent', async (t) => {
  const rig = await openWith(t, 2)
  ended(rig, 2, 2)
  await rig.deployer.settled()
  t.true(isCommitted('blink', 2)(rig.deployer.functions), 'two ends are no crash loop')
  ended(rig, 2, 1)
  await rig.until(isBackTo(1, 2))
  t.is(rig.deployer.functions.find(({ version }) => version === 2)?.error, 'crash loop: exit code 7')
  await rig.deployer.settled()
  t.false(existsSync(path.join(rig.dataDir, 'functions/blink/2')))
  await rig.restart()
  await rig.deployer.settled()
  t.deepEqual(rig.processor.log, ['+blink 1'])
  t.true(isBackTo(1, 2)(rig.deployer.functions))

  await rig.publish('blink', 3)
  await rig.desire(['blink', 3])
  await rig.until(isCommitted('blink', 3))
})

test('committed version whose worker is not ready in time when it is started again is rolled back', async (t) => {
  const rig = await openWith(t, 2)
  rig.deployer.workerEnded('blink', 2, 0, new FunctionError('worker-start-timeout', 'Worker was not ready within 30000 ms'))
  await rig.until(isBackTo(1, 2))
  t.is(rig.processor.running.get('blink')?.version, 1)
})

test('version that has proven itself is not rolled back, and is what the next one goes back to', async (t) => {
  const rig = await openWith(t, 2, { watchRule: { provenMs: 1, ends: 3, windowMs: 600_000 } })
  const book = () => JSON.parse(readFileSync(path.join(rig.dataDir, 'functions/deployments.json'), 'utf8')).functions.blink
  while (book().onWatch !== undefined) await new Promise((resolve) => setImmediate(resolve))
  ended(rig, 2, 5)
  await rig.deployer.settled()
  t.true(isCommitted('blink', 2)(rig.deployer.functions))
  await rig.publish('blink', 3)
  await rig.desire(['blink', 3])
  await rig.until(isCommitted('blink', 3))
  t.is(book().previous, 2)
})

test('version that did not prove itself is nothing to go back to', async (t) => {
  const rig = await openWith(t, 3)
  ended(rig, 3, 3)
  await rig.until(isBackTo(1, 3))
  t.is(rig.processor.running.get('blink')?.version, 1)
})

test('version in a crash loop goes on when there is no older one, or when its files were damaged', async (t) => {
  const rig = await openWith(t, 1)
  ended(rig, 1, 9)
  await rig.deployer.settled()
  t.true(isCommitted('blink', 1)(rig.deployer.functions))
  await rig.publish('blink', 2)
  await rig.desire(['blink', 2])
  await rig.until(isCommitted('blink', 2))
  await rig.deployer.settled()
  cpSync(path.join(rig.dataDir, 'functions/blink/2/main.js'), path.join(rig.dataDir, 'functions/blink/1/main.js'))
  ended(rig, 2, 3)
  await rig.deployer.settled()
  t.true(isCommitted('blink', 2)(rig.deployer.functions))
})

test('alias in a crash loop is rolled back by itself, and production is not touched', async (t) => {
  const rig = await openWith(t, 2)
  await rig.publish('blink', 3)
  const desire = (revision: number, version: number) =>
    rig.deployer.apply({
      revision,
      functions: [{ name: 'blink', version: 2, disabled: false, aliases: [{ alias: 'test', version, disabled: false }] }],
      hubTimeMs: 0,
    })
  const runs = (version: number) => () => rig.processor.running.get('blink@test')?.version === version
  await desire(10, 1)
  await rig.until(runs(1))
  await rig.deployer.settled()
  await desire(11, 3)
  await rig.until((functions) => functions.some(({ alias, version, state }) => alias === 'test' && version === 3 && state === 'committed'))
  await rig.deployer.settled()
  ended(rig, 3, 3, 'blink@test')
  await rig.until(runs(1))
  await rig.deployer.settled()
  t.is(rig.processor.running.get('blink')?.version, 2)
  t.deepEqual(rig.deployer.functions.map(({ alias, version, state }) => `${alias ?? 'production'} ${version} ${state}`).sort(), [
    'production 2 committed',
    'test 1 committed',
    'test 3 rolledback',
  ])
})

test('crash loop is rolled back while the deployment of another function waits for the hub', async (t) => {
  const rig = await openWith(t, 2)
  await rig.publish('other', 1)
  await rig.hub.stop()
  await rig.desire(['blink', 2], ['other', 1])
  await rig.until((functions) => functions.some(({ name, state }) => name === 'other' && state === 'fetching'))
  ended(rig, 2, 3)
  await rig.until(isBackTo(1, 2))
  t.is(rig.processor.running.get('blink')?.version, 1)
})

test('agent killed at each point of a rollback starts the version before, never the bad one, and ends with it', async (t) => {
  const rig = await openWith(t, 2)
  await rig.deployer.close()
  for (const point of CRASH_POINTS.filter((name) => name.startsWith('rollback:'))) {
    const dataDir = path.join(tempDir(t), 'data')
    cpSync(rig.dataDir, dataDir, { recursive: true })
    const killed = await runDeployChild([dataDir, 'blink', '2', 'crash-loop'], point)
    t.is(killed.signal, 'SIGKILL', `${point}: ${killed.errors}`)
    t.regex(killed.output, /^started 2\n/, point)

    const again = await runDeployChild([dataDir, 'blink', '2', 'crash-loop'])
    t.regex(again.output, /^(gather .*\n)*started 1\n(gather .*\n)*rolledback\n$/, `${point}: ${again.errors}`)
    const versions = new VersionStore(path.join(dataDir, 'functions'))
    t.is(await versions.current('blink'), 1, point)
    await t.notThrowsAsync(versions.verify('blink', 1), point)
    const { functions } = JSON.parse(readFileSync(path.join(dataDir, 'functions/deployments.json'), 'utf8'))
    t.like(functions.blink.deployment, { version: 2, state: 'rolledback', error: 'crash loop: exit code 7' }, point)
  }
})

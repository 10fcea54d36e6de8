import test, { type ExecutionContext } from 'ava'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { VersionStore } from '../../agent/deploy/version-store.ts'
import { CRASH_POINTS } from '../../runtime/base/crash-point.ts'
import { runDeployChild } from '../support/deploy-child-process.ts'
import { isCommitted, isRolledBack, openDeployRig } from '../support/deploy-rig.ts'
import { startHub } from '../support/hub.ts'
import { tempDir } from '../support/temp-dir.ts'

test('agent killed at each point of a deployment starts the old or the new version whole, and converges', async (t: ExecutionContext) => {
  t.timeout(120_000)
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('blink', 2, { 'function.yaml': 'a: 2\n', 'lib/main.js': 'export const version = 2\n' })
  await rig.deployer.close()
  const first = path.join(tempDir(t), 'first')
  cpSync(rig.dataDir, first, { recursive: true })
  t.regex((await runDeployChild([first, 'blink', '1'])).output, /committed/)

  for (const point of CRASH_POINTS.filter((name) => name.startsWith('deploy:'))) {
    const dataDir = path.join(tempDir(t), 'data')
    cpSync(first, dataDir, { recursive: true })
    const killed = await runDeployChild([dataDir, 'blink', '2'], point)
    t.is(killed.signal, 'SIGKILL', `${point}: ${killed.errors}`)

    const versions = new VersionStore(path.join(dataDir, 'functions'))
    const current = await versions.current('blink')
    t.true(current === 1 || current === 2, point)
    await t.notThrowsAsync(versions.verify('blink', current!), point)

    const again = await runDeployChild([dataDir, 'blink', '2'])
    t.regex(again.output, new RegExp(`^started ${current}\n[^]*committed\n$`), `${point}: ${again.errors}`)
    t.is(await versions.current('blink'), 2, point)
    await versions.verify('blink', 2)
    const { functions } = JSON.parse(readFileSync(path.join(dataDir, 'functions/deployments.json'), 'utf8'))
    t.is(functions.blink.deployment.state, 'committed', point)
  }
})

test('deployment with the hub away goes on when it is back', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.hub.stop()
  await rig.desire(['blink', 1])
  await rig.until((functions) => functions.some(({ state, error }) => state === 'fetching' && error?.includes('Cannot reach the hub')))
  const back = await startHub({ dataDir: rig.hub.dataDir, overrides: { api: `127.0.0.1:${rig.hub.api.port}` } })
  t.teardown(() => back.stop())
  await rig.until(isCommitted('blink', 1))
  t.pass()
})

test('version under which the agent ended again and again is given up, and the old one runs', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('blink', 2)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  await rig.deployer.close()
  const file = path.join(rig.dataDir, 'functions/deployments.json')
  const book = JSON.parse(readFileSync(file, 'utf8'))
  book.desired = { revision: 2, functions: [{ name: 'blink', version: 2, disabled: false }] }
  book.functions.blink.deployment = { version: 2, state: 'activating', transitions: 28 }
  writeFileSync(file, JSON.stringify(book))
  await rig.restart()
  await rig.until((functions) => isRolledBack('blink', 2)(functions) && isCommitted('blink', 1)(functions))
  t.regex(rig.deployer.functions.find(({ version }) => version === 2)?.error ?? '', /Gave up after 28/)
  t.deepEqual(rig.processor.log, ['+blink 1'])
})

test('deployments.json that is damaged is kept aside, and what is committed runs', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  await rig.deployer.close()
  const file = path.join(rig.dataDir, 'functions/deployments.json')
  writeFileSync(file, '{"format":1,"desi')
  await rig.restart()
  t.deepEqual(rig.processor.log, ['+blink 1'])
  t.is(readFileSync(`${file}.damaged`, 'utf8'), '{"format":1,"desi')
})

test('disk that refuses the staging leaves the old version running and is tried again', async (t) => {
  const rig = await openDeployRig(t)
  await rig.publish('blink', 1)
  await rig.publish('blink', 2)
  await rig.desire(['blink', 1])
  await rig.until(isCommitted('blink', 1))
  await rig.deployer.settled()
  // A directory in the place of the manifest: writing it fails like a bad disk.
  const obstacle = path.join(rig.dataDir, 'functions/blink/2.json')
  mkdirSync(obstacle)
  await rig.desire(['blink', 2])
  await rig.until((functions) => functions.some(({ version, error }) => version === 2 && error !== undefined))
  t.is(rig.processor.running.get('blink')?.version, 1)
  rmSync(obstacle, { recursive: true })
  await rig.until(isCommitted('blink', 2))
})

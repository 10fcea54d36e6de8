import test from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { openDeployRig } from '../support/deploy-rig.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const EVENTS = 2_500

async function runChild(
  program: string,
  args: string[],
  crashPoint?: string,
): Promise<{ out: string; err: string; signal: string | null }> {
  const argv = ['--disable-warning=ExperimentalWarning', path.join(import.meta.dirname, '../support', program), ...args]
  const env = { ...process.env, ...(crashPoint && { DUNLIN_CRASH_POINT: crashPoint }) }
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [out, err] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { out, err, signal }
}

test('agent killed while events of an alias move to production handles each of them once, in order', async (t) => {
  const folder = tempDir(t)
  const rig = await ProcessorRig.open(folder)
  const spec = (runtime: string) =>
    `{ metadata: { name: f }, spec: { runtime: ${runtime}, triggers: { in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } } } } }`
  const waits = { 'main.mjs': `export const handler = () => new Promise(() => {})` }
  await rig.processor.activate(rig.version(spec('nodejs'), waits))
  await rig.processor.activate(rig.version(spec('nodejs'), waits), 'test')
  await rig.processor.setDeviceRoutes('f', [{ alias: 'test' }])
  await Promise.all(Array.from({ length: EVENTS }, (_, i) => rig.publish('in/a', String(i))))
  await rig.close()

  const killed = await runChild('gather-child.ts', [folder], 'alias:mid-move')
  t.is(killed.signal, 'SIGKILL', killed.err)
  const { out, err } = await runChild('gather-child.ts', [folder])
  t.deepEqual(
    (JSON.parse(out || '[]') as string[]).map(Number),
    Array.from({ length: EVENTS }, (_, i) => i),
    err,
  )
})

test('agent killed at each point of the removal of an alias removes it, and gives its events to production', async (t) => {
  t.timeout(60_000)
  const rig = await openDeployRig(t)
  for (const version of [1, 2, 3]) await rig.publish('blink', version)
  const aliases = [{ alias: 'test', version: 2, disabled: false }]
  await rig.deployer.apply({ revision: 1, functions: [{ name: 'blink', version: 1, disabled: false, aliases }], hubTimeMs: 0 })
  await rig.until((functions) => functions.filter(({ state, ready }) => state === 'committed' && ready).length === 2)
  await rig.deployer.settled()
  await rig.deployer.close()

  for (const point of ['alias:stopped', 'alias:not-current', 'alias:forgotten']) {
    const dataDir = path.join(tempDir(t), 'data')
    cpSync(rig.dataDir, dataDir, { recursive: true })
    const killed = await runChild('deploy-child.ts', [dataDir, 'blink', '3'], point)
    t.is(killed.signal, 'SIGKILL', `${point}: ${killed.err}`)
    t.false(killed.out.includes('gather production\n'), point)
    const again = await runChild('deploy-child.ts', [dataDir, 'blink', '3'])
    t.regex(again.out, /^(started 2\n)?started 1\n[^]*gather production\n[^]*committed\n$/, `${point}: ${again.err}`)
    t.false(existsSync(path.join(dataDir, 'functions/blink/current@test')), point)
    const { functions } = JSON.parse(readFileSync(path.join(dataDir, 'functions/deployments.json'), 'utf8')) as { functions: object }
    t.deepEqual(Object.keys(functions), ['blink'], point)
  }
})

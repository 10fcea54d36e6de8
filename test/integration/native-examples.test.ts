/** The examples as their READMEs build them, on real events in the processor. */
import { execFileSync } from 'node:child_process'
import { cpSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { needs, type NeedName } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const ROOT = path.join(import.meta.dirname, '../..')

function exampleTest(title: string, name: string, tools: NeedName[], run: (t: ExecutionContext, rig: ProcessorRig) => Promise<void>): void {
  needs(
    test.serial,
    'make',
    'gcc',
    ...tools,
  )(title, async (t) => {
    t.timeout(180_000, 'a first Go build compiles its library')
    const folder = tempDir(t)
    for (const part of [`examples/${name}`, 'runtime/native']) cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true })
    const directory = path.join(folder, 'examples', name)
    execFileSync('make', ['--silent', '--always-make'], { cwd: directory, stdio: 'pipe' })
    const rig = await ProcessorRig.open(tempDir(t))
    try {
      const config = parseFunctionConfig(readFileSync(path.join(directory, 'function.yaml'), 'utf8'), 'function.yaml')
      await rig.processor.activate({ config, version: '1', directory })
      await run(t, rig)
    } finally {
      await rig.close()
    }
  })
}

exampleTest('native-c smooths the readings of each topic and tells when the mean passes the limit', 'native-c', [], async (t, rig) => {
  for (const value of ['20', '{"value": 60}', '10', '30', '0']) await rig.publish('sensors/a', value)
  await rig.publish('sensors/b', '7')
  await rig.until(async () => (await rig.rows('smoothed')).length === 6)
  const rows = await rig.rows('smoothed')
  t.true(rows.includes('7.000'))
  // Order holds within a topic.
  t.deepEqual(
    rows.filter((row) => row !== '7.000'),
    ['20.000', '40.000', '30.000', '30.000', '24.000'],
  )
  await rig.until(() => rig.published.length === 2)
  t.deepEqual(rig.published, [
    { topic: 'alarms/high', body: 'sensors/a' },
    { topic: 'alarms/over', body: 'sensors/a' },
  ])
})

exampleTest('native-go tells a sensor that repeats itself', 'native-go', ['go'], async (t, rig) => {
  for (const value of ['1', '1', '2', '2', '2', '2', '2', '2']) await rig.publish('sensors/a', value)
  await rig.until(async () => (await rig.rows('stuck')).length > 0)
  t.deepEqual(await rig.rows('stuck'), ['sensors/a says 2 for the 5th time'])
})

exampleTest('native-rust keeps the highest reading of each topic', 'native-rust', ['rustc'], async (t, rig) => {
  for (const value of ['3', '{"value":5.5}', '4', '6']) await rig.publish('sensors/a', value)
  await rig.until(async () => (await rig.rows('peaks')).length === 3)
  t.deepEqual(
    (await rig.rows('peaks')).map((row) => (JSON.parse(row) as { value: number }).value),
    [3, 5.5, 6],
  )
})

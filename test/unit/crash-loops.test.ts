import test from 'ava'
import { CrashLoops } from '../../agent/telemetry/crash-loops.ts'

type Status = ReturnType<ConstructorParameters<typeof CrashLoops>[0]['status']>[number]

const running = (crashLoop: boolean) =>
  ({ workers: { crashLoop }, error: crashLoop ? 'exit code 7' : undefined }) as unknown as Pick<Status, 'workers' | 'error'>

test('crash loop of a committed version is told to the hub with its reason, and that it is over', (t) => {
  let isLooping = true
  let told = 0
  const loops = new CrashLoops({
    status: () => [
      { name: 'f', ...running(isLooping), aliases: [] },
      { name: 'g', ...running(false), aliases: [{ alias: 'test', ...running(isLooping) } as unknown as Status['aliases'][number]] },
    ],
    onChange: () => told++,
  })
  t.teardown(() => loops.close())
  const rows = [
    { name: 'f', version: 2, state: 'committed', ready: true },
    { name: 'f', version: 3, state: 'rolledback', ready: false, error: 'no' },
    { name: 'g', version: 1, state: 'committed', ready: true },
    { name: 'g', alias: 'test', version: 2, state: 'committed', ready: true },
  ] as const
  t.deepEqual(loops.mark([...rows]), [...rows])
  loops.look()
  loops.look()
  t.is(told, 1)
  t.deepEqual(loops.mark([...rows]), [
    { ...rows[0], ready: false, error: 'crash loop: exit code 7' },
    rows[1],
    rows[2],
    { ...rows[3], ready: false, error: 'crash loop: exit code 7' },
  ])
  isLooping = false
  loops.look()
  t.is(told, 2)
  t.deepEqual(loops.mark([...rows]), [...rows])
})

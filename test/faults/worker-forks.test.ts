/** U16: what a function starts and leaves behind is gone when its worker is. */
import test, { type ExecutionContext, type Implementation } from 'ava'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cgroup, cgroupTrees } from '../../runtime/workers/cgroup.ts'
import { rssBytes, rssBytesOf } from '../../runtime/workers/process-memory.ts'
import { needs } from '../support/packages.ts'
import { workerGroups } from '../support/process-remains.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const GONE_MS_MAX = 1_000
const trees = cgroupTrees(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'))
const canGroup = canMakeGroup()

function canMakeGroup(): boolean {
  const { unified, pids } = trees
  if (unified === null && pids === null) return false
  const at = (tree: string | null) => tree && join(tree, `dunlin-test-${process.pid}`)
  const group = new Cgroup(at(unified), at(pids))
  try {
    group.open(8)
    return true
  } catch {
    return false
  } finally {
    group.close()
  }
}

/** Where the kernel gives no groups, what calls setsid is left: docs/workers.md says so. */
const without = (what: string) => (title: string, implementation: Implementation<[]>) =>
  test.serial.skip(`${title} [needs ${what}]`, implementation)
const groups = without('cgroups that this user can make')
const python = canGroup ? needs(test.serial, 'python3') : groups
const shell = canGroup ? test.serial : groups
const limited = canGroup && trees.pids !== null ? needs(test.serial, 'python3') : without('the pids controller')

const isAlive = (pid: number) => existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ')

async function openWith(t: ExecutionContext, runtime: string, more: string, files: Record<string, string>): Promise<ProcessorRig> {
  const rig = await ProcessorRig.open(tempDir(t))
  t.teardown(() => rig.close())
  const spec = `metadata: { name: f }
spec:
  runtime: ${runtime}
  ${more}
  triggers:
    a: { kind: http }
`
  await rig.processor.activate(rig.version(spec, files))
  return rig
}

async function untilGone(t: ExecutionContext, rig: ProcessorRig, pids: readonly number[]): Promise<void> {
  const sinceMs = performance.now()
  await rig.until(() => pids.every((pid) => !isAlive(pid)) || performance.now() - sinceMs > 5 * GONE_MS_MAX)
  t.deepEqual(pids.filter(isAlive), [])
  t.true(performance.now() - sinceMs < 5 * GONE_MS_MAX)
}

const PYTHON = `import os, subprocess
def handler(context, event):
    plain = subprocess.Popen(['sleep', '300']).pid
    session = subprocess.Popen(['sleep', '300'], start_new_session=True).pid
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        inner = os.fork()
        if inner == 0:
            os.execvp('sleep', ['sleep', '300'])
        os.write(write, str(inner).encode())
        os._exit(0)
    os.wait()
    return [plain, session, int(os.read(read, 20))]
`

python(
  'processes that a Python handler forked, double-forked and moved to sessions of their own end with it',
  async (t: ExecutionContext) => {
    const rig = await openWith(t, 'python', 'handler: main:handler', { 'main.py': PYTHON })
    const pids = JSON.parse((await rig.invoke('f', '')).body.toString()) as number[]
    t.is(pids.length, 3)
    t.true(pids.every(isAlive))
    t.deepEqual(
      pids.map((pid) => readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()),
      ['500', '500', '500'],
    )
    await rig.processor.deactivate('f', 500)
    await untilGone(t, rig, pids)
  },
)

shell('what a shell program leaves in the background ends with it', async (t: ExecutionContext) => {
  const script = `#!/bin/sh
sleep 300 & echo $!
setsid sleep 301 & echo $!
(setsid sh -c 'sleep 302 & echo $!; exec sleep 303' &)
sleep 0.1
`
  const rig = await openWith(t, 'shell', 'handler: run.sh', { 'run.sh': script })
  const answer = await rig.invoke('f', '')
  t.is(answer.status, 200, answer.body.toString())
  const pids = answer.body.toString().trim().split('\n').map(Number)
  t.is(pids.length, 3)
  await untilGone(t, rig, pids)
})

python('memory that a handler shares with what it has forked counts once', async (t: ExecutionContext) => {
  const gate = join(tempDir(t), 'gate')
  // 80 MB in each of nine, and all of them the same.
  const forks = `import os, signal, time
held = bytearray(80_000_000)
def handler(context, event):
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0: signal.pause()
        children.append(child)
    while not os.path.exists('${gate}'): time.sleep(0.01)
    for child in children: os.kill(child, 9)
    return 'done'
`
  const rig = await openWith(t, 'python', 'handler: main:handler', { 'main.py': forks })
  const answer = rig.invoke('f', '')
  const members = () => [
    ...new Set(workerGroups().flatMap((group) => readFileSync(join(group, 'cgroup.procs'), 'utf8').trim().split('\n').map(Number))),
  ]
  await rig.until(() => members().length >= 9)
  const pids = members()
  t.true(pids.reduce((sum, pid) => sum + rssBytes(pid), 0) > 600_000_000)
  const bytes = rssBytesOf(pids)
  t.true(bytes > 80_000_000 && bytes < 200_000_000, `${bytes}`)
  writeFileSync(gate, '')
  t.is((await answer).body.toString(), 'done')
  t.is(rig.processor.status()[0]!.workers.restarts, 0)
})

limited('a fork bomb stops at the limit of processes, and the agent goes on', async (t: ExecutionContext) => {
  const bomb = `import os
def handler(context, event):
    made = 0
    try:
        while made < 500:
            if os.fork() == 0:
                while True: os.system('sleep 1')
            made += 1
    except OSError as error:
        return {'made': made, 'error': error.strerror}
    return {'made': made}
`
  const rig = await openWith(t, 'python', 'handler: main:handler', { 'main.py': bomb })
  const { made, error } = JSON.parse((await rig.invoke('f', '')).body.toString()) as { made: number; error?: string }
  t.true(made < 64, `${made} processes were made`)
  t.regex(error ?? '', /unavailable/)
})

test('groups are found in v1, v2 and mixed trees', (t) => {
  const v2 = '29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n'
  t.deepEqual(cgroupTrees(v2, '0::/system.slice/dunlin.service\n'), { unified: '/sys/fs/cgroup/system.slice/dunlin.service', pids: null })
  const v1 = '31 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n'
  t.deepEqual(cgroupTrees(v1, '8:pids:/a\n4:cpu,cpuacct:/\n'), { unified: null, pids: '/sys/fs/cgroup/pids/a' })
  const mixed = `${v1}32 30 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`
  t.deepEqual(cgroupTrees(mixed, '8:pids:/\n0::/b\n'), { unified: '/sys/fs/cgroup/unified/b', pids: '/sys/fs/cgroup/pids' })
  t.deepEqual(cgroupTrees('', ''), { unified: null, pids: null })
})

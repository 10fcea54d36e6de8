/** U14: a worker that leaks is ended at the limit of its function, started again, and its event is tried again. */
import test, { type ExecutionContext } from 'ava'
import { MemoryBudget, lookAgainMs } from '../../runtime/workers/memory-budget.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const MiB = 1024 * 1024
/** What the agent itself may grow by. */
const AGENT_GROWTH_MAX = 10 * MiB
/** Or, on a busy machine, a few times what the first start took. */
const RESTART_MS_MAX = 1_000
const RESTART_STARTS_MAX = 3

const LEAKS = {
  'heap in a thread': ['nodejs', 'thread', 128, 'js', "kept.push(Array.from({ length: 65_536 }, (_, i) => 'x' + i))"],
  'Buffers in a thread': ['nodejs', 'thread', 128, 'js', 'kept.push(Buffer.alloc(1 << 20, 7))'],
  'heap in a process': ['nodejs', 'process', 192, 'js', "kept.push(Array.from({ length: 65_536 }, (_, i) => 'x' + i))"],
  'Buffers in a process': ['nodejs', 'process', 192, 'js', 'kept.push(Buffer.alloc(1 << 20, 7))'],
  'bytes in Python': ['python', 'process', 96, 'py', 'kept.append(bytearray(1 << 20))'],
} as const

/** Leaks on the first attempt only: so the event that is tried again ends well. */
const handlers = {
  js: (leak: string) => `const kept = []
exports.handler = async (context, event) => {
  if (event.body.toString() === 'leak' && event.attempt === 1) for (;;) { ${leak}; await new Promise((resolve) => setTimeout(resolve, 1)) }
  context.emit('out', event.body.toString() + ' ' + event.attempt)
}`,
  py: (leak: string) => `import time
kept = []
def handler(context, event):
    while event.body == b'leak' and event.attempt == 1:
        ${leak}
        time.sleep(0.001)
    context.emit('out', event.body.decode() + ' ' + str(event.attempt))
`,
}

async function leak(t: ExecutionContext, what: keyof typeof LEAKS): Promise<void> {
  const [runtime, isolation, limit, language, code] = LEAKS[what]
  const rig = await ProcessorRig.open(tempDir(t))
  t.teardown(() => rig.close())
  const spec = `metadata: { name: f }
spec:
  runtime: ${runtime}
  isolation: ${isolation}
  retry: { first: 10ms, max: 1s }
  resources: { limits: { memory: ${limit}Mi } }
  triggers:
    a: { kind: mqtt, attributes: { subscriptions: [{ topic: a }] } }
`
  const version = rig.version(spec, { [language === 'js' ? 'main.cjs' : 'main.py']: handlers[language](code) })
  const activatedMs = performance.now()
  await rig.processor.activate(version)
  const startMs = performance.now() - activatedMs
  const workers = () => rig.processor.status()[0]!.workers
  await rig.publish('a', 'before')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  const before = process.memoryUsage()
  await rig.publish('a', 'leak')
  await rig.until(() => workers().restarts === 1)
  const endedMs = performance.now()
  await rig.until(() => workers().ready === 1)
  const againMs = performance.now() - endedMs
  t.true(againMs <= Math.max(RESTART_MS_MAX, RESTART_STARTS_MAX * startMs), `started again after ${Math.round(againMs)} ms`)
  await rig.until(async () => (await rig.rows('out')).length === 2)
  t.deepEqual(await rig.rows('out'), ['before 1', 'leak 2'])
  const { memoryBytesPeak, memoryBytesMax } = workers()
  t.true(memoryBytesPeak > memoryBytesMax, `${memoryBytesPeak} of ${memoryBytesMax}`)
  t.true(memoryBytesPeak <= memoryBytesMax * 1.1, `ended at ${Math.round(memoryBytesPeak / MiB)} of ${limit} MiB`)
  if (isolation === 'process') {
    const { heapUsed, external } = process.memoryUsage()
    t.true(heapUsed + external - before.heapUsed - before.external < AGENT_GROWTH_MAX)
  }
  t.true(
    rig.logs.some(({ message }) => /Worker used \d+ MiB of memory/.test(message)),
    rig.logs.map(({ message }) => message).join('\n'),
  )
}

for (const what of Object.keys(LEAKS) as (keyof typeof LEAKS)[]) {
  const it = LEAKS[what][0] === 'python' ? needs(test.serial, 'python3') : test.serial
  it(`worker that leaks ${what} is ended at the limit, and its event is tried again`, (t: ExecutionContext) => leak(t, what))
}

test('two workers are measured together, and the larger one is ended', async (t) => {
  const budget = new MemoryBudget(100 * MiB)
  const ended = Promise.withResolvers<string>()
  const worker = (name: string, mib: number) => ({
    memoryBytes: () => mib * MiB,
    end: (cause: Error) => ended.resolve(`${name}: ${cause.message}`),
  })
  const [small, large] = [worker('small', 40), worker('large', 70)]
  t.true(budget.hasRoom)
  budget.add(small)
  budget.add(large)
  t.is(await ended.promise, 'large: Worker used 70 MiB of memory, and all workers together 110 MiB: more than the 100 MiB there are')
  t.true(budget.hasRoom || budget.usedBytes <= 100 * MiB)
  budget.remove(small)
})

test('memory is looked at the sooner the nearer it is to the limit', (t) => {
  t.deepEqual(
    [1_000, 100, 10, 1, 0].map((mib) => lookAgainMs(mib * MiB)),
    [250, 100, 10, 2, 2],
  ) // ms
})

import test, { type ExecutionContext } from 'ava'
import { ConfigError } from '../../config/config-error.ts'
import { parseFunctionConfig, type TriggerConfig } from '../../config/function-config.ts'

const withTriggers = (...triggers: string[]) => `metadata:
  name: hello
spec:
  runtime: nodejs
  triggers:
${triggers.map((yaml, index) => `    t${index + 1}: { kind: http, ${yaml} }\n`).join('')}`

const triggersOf = (...triggers: string[]): readonly TriggerConfig[] =>
  parseFunctionConfig(withTriggers(...triggers), 'function.yaml').triggers

const sizeOf = ({ numWorkers, pool }: TriggerConfig) => [pool.minWorkers, numWorkers]

function problem(t: ExecutionContext, ...triggers: string[]): string {
  return t.throws(() => triggersOf(...triggers), { instanceOf: ConfigError }).message
}

test('a pool has a fixed size unless minWorkers is given', (t) => {
  const sizes = ['', 'numWorkers: 3', 'maxWorkers: 3', 'minWorkers: 1, maxWorkers: 4', 'minWorkers: 0', 'minWorkers: 2'].map((yaml) =>
    sizeOf(triggersOf(yaml)[0]!),
  )
  t.deepEqual(sizes, [
    [1, 1],
    [3, 3],
    [3, 3],
    [1, 4],
    [0, 1],
    [2, 2],
  ])
  t.regex(problem(t, 'minWorkers: 3, maxWorkers: 2'), /^function\.yaml:6:35 spec\.triggers\.t1\.minWorkers: expected at most 2/)
})

test('triggers that name one pool get its largest size, and a notice', (t) => {
  const { triggers, notices } = parseFunctionConfig(
    withTriggers('numWorkers: 2, workerAllocatorName: all', 'numWorkers: 4, workerAllocatorName: all, concurrency: 3', 'numWorkers: 5'),
    'function.yaml',
  )
  t.deepEqual(triggers.map(sizeOf), [
    [4, 4],
    [4, 4],
    [5, 5],
  ])
  t.deepEqual(
    triggers.map(({ concurrency }) => concurrency),
    [3, 3, 64],
  )
  t.true(
    notices.some((notice) => /spec\.triggers\.t1\.workerAllocatorName has 4 workers/.test(notice)),
    notices.join('\n'),
  )
})

test('a pool that is said once holds for all that share it', (t) => {
  const [a, b] = triggersOf(
    'workerAllocatorName: all',
    'workerAllocatorName: all, minWorkers: 0, maxWorkers: 3, idleTimeout: 2s, prewarm: true',
  )
  t.deepEqual(a!.pool, { name: 'all', minWorkers: 0, idleTimeoutMs: 2000, prewarm: true, allocation: 'pool' })
  t.deepEqual([sizeOf(a!), b!.pool], [[0, 3], a!.pool])
})

test('triggers of one pool that contradict each other are refused, with the place of the second', (t) => {
  const text = problem(t, 'workerAllocatorName: all, concurrency: 1', 'workerAllocatorName: all, concurrency: 2')
  t.regex(text, /^function\.yaml:7:62 spec\.triggers\.t2\.concurrency: expected 1, as trigger t1 has it, got 2/)
  t.regex(
    problem(t, 'workerAllocatorName: all, workerAllocationMode: static', 'workerAllocatorName: all, minWorkers: 1, maxWorkers: 2'),
    /workerAllocationMode: expected pool, because the number of workers changes \(1 to 2\)/,
  )
})

test("the memory limit is Kubernetes' quantity, and other limits get a notice", (t) => {
  const limits = (yaml: string) =>
    parseFunctionConfig(withTriggers('').replace('  triggers:', `  resources: { limits: { ${yaml} } }\n  triggers:`), 'function.yaml')
  const bytes = ['128Mi', '"134217728"', '134217728', '0.5Gi', '100M', '1e8'].map((text) => limits(`memory: ${text}`).memoryLimitBytes)
  t.deepEqual(bytes, [134217728, 134217728, 134217728, 536870912, 100_000_000, 100_000_000])
  const { memoryLimitBytes, notices } = limits('cpu: 1, nvidia.com/gpu: 1')
  t.is(memoryLimitBytes, null)
  t.is(notices.filter((notice) => notice.includes('only memory is limited')).length, 2)
  t.regex(
    t.throws(() => limits('memory: 1Mi')).message,
    /^function\.yaml:5:34 spec\.resources\.limits\.memory: expected at least 16MiB, got "1Mi"/,
  )
  t.regex(t.throws(() => limits('memory: 64MB')).message, /expected a quantity such as "128Mi"/)
})

test('triggers of one pool take batches all or none', (t) => {
  const text = problem(t, 'workerAllocatorName: all', 'workerAllocatorName: all, batch: { mode: enable }')
  t.regex(text, /spec\.triggers\.t2\.batch: expected the same as trigger t1 has/)
})

test('static allocation needs a fixed number of workers', (t) => {
  t.is(triggersOf('workerAllocationMode: static, numWorkers: 3')[0]!.pool.allocation, 'static')
  t.regex(problem(t, 'workerAllocationMode: static, minWorkers: 0, maxWorkers: 3'), /expected pool/)
})

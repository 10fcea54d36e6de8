/** U13 and U15: handlers that never return, and an event that always fails, cost themselves only. */
import test, { type ExecutionContext } from 'ava'
import { codeOf } from '../../runtime/base/errors.ts'
import { needs } from '../support/packages.ts'
import { processesWith } from '../support/process-remains.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const TIMEOUT_MS = 400

async function open(t: ExecutionContext, startLimitMs?: number): Promise<ProcessorRig> {
  const rig = await ProcessorRig.open(tempDir(t), { startLimitMs })
  t.teardown(() => rig.close())
  return rig
}

const spec = (runtime: string, more: string, trigger: string) => `metadata: { name: f }
spec:
  runtime: ${runtime}
  ${more}
  retry: { first: 10ms, max: 1s }
  triggers:
    a: { kind: mqtt, ${trigger} attributes: { subscriptions: [{ topic: '#' }] } }
`

const js = (hang: string) => `exports.handler = async (context, event) => {
  const started = Date.now()
  if (event.body.toString() === 'hang' && event.attempt === 1) { ${hang} }
  context.emit('out', event.body.toString() + ' ' + event.attempt)
}`

const HANGS = {
  'spins in a thread': ['nodejs', 'isolation: thread', js('for (;;);')],
  'spins in a process': ['nodejs', 'isolation: process', js('for (;;);')],
  'runs a regular expression without end': ['nodejs', 'isolation: thread', js("/^(a+)+$/.test('a'.repeat(60) + 'b')")],
  'waits with Atomics': ['nodejs', 'isolation: thread', js('Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)')],
  'never resolves': ['nodejs', 'isolation: thread', js('await new Promise(() => {})')],
  'blocks in a native call': ['nodejs', 'isolation: process', js("require('node:child_process').execSync('sleep 60')")],
  'spins in Python': [
    'python',
    '',
    `def handler(context, event):
    while event.body == b'hang' and event.attempt == 1: pass
    context.emit('out', event.body.decode() + ' ' + str(event.attempt))
`,
  ],
} as const

for (const what of Object.keys(HANGS) as (keyof typeof HANGS)[]) {
  const [runtime, isolation, handler] = HANGS[what]
  const it = runtime === 'python' ? needs(test.serial, 'python3') : test.serial
  it(`handler that ${what} is ended at its time-out, and others go on meanwhile`, async (t: ExecutionContext) => {
    const rig = await open(t)
    const version = rig.version(
      spec(runtime, `${isolation === '' ? '' : `${isolation}\n  `}eventTimeout: ${TIMEOUT_MS}ms`, 'numWorkers: 2, concurrency: 1,'),
      { [runtime === 'python' ? 'main.py' : 'main.cjs']: handler },
    )
    await rig.processor.activate(version)
    const failed = () => rig.logs.find(({ message }) => message.includes('attempt 1 failed'))
    await rig.publish('hang', 'hang')
    await rig.publish('b', 'other')
    await rig.until(async () => (await rig.rows('out')).includes('other 1'))
    t.falsy(failed(), 'the other one did not wait for it')
    await rig.until(() => failed() !== undefined)
    const [, ran] = /did not answer within 400 ms, running for (\d+) ms/.exec(failed()!.message) ?? []
    t.true(Number(ran) >= TIMEOUT_MS - 1, failed()!.message)
    await rig.until(async () => (await rig.rows('out')).includes('hang 2'))
    await rig.until(() => rig.processor.status()[0]!.workers.ready === 2)
    t.is(rig.processor.status()[0]!.workers.restarts, 1)
  })
}

/** In the environment of what hangs, so that it is found. */
const MARK = 'DUNLIN_TEST_HANGS'

const STARTS = {
  'nodejs thread': ['nodejs', 'isolation: thread', 'main.cjs', 'for (;;);'],
  'nodejs process': ['nodejs', 'isolation: process', 'main.cjs', 'for (;;);'],
  python: ['python', '', 'main.py', 'while True: pass\n'],
} as const

for (const [kind, [runtime, isolation, file, code]] of Object.entries(STARTS)) {
  const it = runtime === 'python' ? needs(test.serial, 'python3') : test.serial
  it(`version whose ${kind} handler hangs when it is loaded is given up, and the one before goes on`, async (t: ExecutionContext) => {
    const rig = await open(t, 2_000)
    await rig.processor.activate(rig.version(spec('nodejs', '', ''), { 'main.cjs': js('') }))
    const mark = `${isolation === '' ? '' : `${isolation}\n  `}env: [{ name: ${MARK}, value: here }]`
    const hanging = rig.version(spec(runtime, mark, ''), { [file]: code })
    const error = await t.throwsAsync(rig.processor.activate(hanging), { message: /Worker was not ready within 2000 ms/ })
    t.is(codeOf(error), 'worker-start-timeout')
    await rig.publish('a', 'event')
    await rig.until(async () => (await rig.rows('out')).includes('event 1'))
    t.like(rig.processor.status()[0], { version: '1', workers: { ready: 1, wanted: 1, crashLoop: false } })
    t.deepEqual(processesWith(MARK), [])
  })
}

test.serial('event that always fails goes to the dead letters after five attempts, and its neighbours flow', async (t) => {
  const rig = await open(t)
  const handler = `exports.handler = (context, event) => {
  if (event.body.toString() === 'poison') throw new Error('cannot read it')
  context.emit('out', event.body.toString())
}`
  await rig.processor.activate(rig.version(spec('nodejs', '', ''), { 'main.cjs': handler }))
  await rig.publish('bad', 'poison')
  const sent: string[] = []
  for (let i = 0; i < 50; i++) {
    sent.push(`n${i}`)
    await rig.publish(`good/${i % 5}`, `n${i}`)
  }
  await rig.until(async () => (await rig.rows('out')).length === 50)
  const [trigger] = rig.processor.status()[0]!.triggers
  t.is(trigger!.buried, 0, 'neighbours did not wait until it was buried')
  await rig.until(() => rig.processor.status()[0]!.triggers[0]!.buried === 1)
  t.deepEqual((await rig.rows('out')).toSorted(), sent.toSorted())
  t.like(rig.processor.status()[0]!.triggers[0]!, { failed: 5, retried: 4, handled: 50, waiting: 0 })
  const ledger = await rig.store.ledger()
  t.is(ledger.sources[0]!.dead, 1)
})

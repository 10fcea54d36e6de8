/**
 * Random programs of handlers: what each does with each of its events, and what must become of them. The plan is data, made from a
 * seed; test/support/random-handlers/ has the handlers that carry it out. The body of an event says what is to be done with it:
 * `id|behaviour|times|emits`: rows are emitted first, then the attempts up to `times` misbehave.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildLibrary } from './native-library.ts'

export const MAX_ATTEMPTS = 3
/** Ends of workers that one program may cause: each one more makes the next start wait twice as long. */
const ENDS_MAX = 5
const STEPS = { least: 3, most: 7 }
const EMITS_MAX = 3
const TOPICS = 3
const EVENT_TIMEOUT_MS = 500
const CALL_SHARE = 0.35
const ODD_SHARE = 0.7

/**
 * fault: the attempts up to `times` fail; end: they take the worker with them; odd: ends well; late: ends well and does harm
 * afterwards, for which other events of the program may pay with attempts, or even die.
 */
type Effect = 'fault' | 'end' | 'odd' | 'late'

const NODE = {
  ok: 'odd',
  throw: 'fault',
  reject: 'fault',
  rejectWithNothing: 'fault',
  throwText: 'fault',
  cyclic: 'fault',
  bigint: 'fault',
  wrongStatus: 'fault',
  largeEmit: 'fault',
  longKey: 'fault',
  hang: 'end',
  busy: 'end',
  exit0: 'end',
  exit3: 'end',
  uncaught: 'end',
  leak: 'end',
  tooManyOperations: 'end',
  garbage: 'odd',
  logFlood: 'odd',
  callbackTwice: 'odd',
  callbackThenThrow: 'odd',
  lateOperations: 'odd',
  symbol: 'odd',
  callable: 'odd',
  hugeAnswer: 'odd',
  exitLate: 'late',
  throwLate: 'late',
  rejectLate: 'late',
} as const satisfies Record<string, Effect>

const PYTHON = {
  ok: 'odd',
  throw: 'fault',
  unserialisable: 'fault',
  largeEmit: 'fault',
  longKey: 'fault',
  interrupt: 'end',
  hang: 'end',
  busy: 'end',
  exit0: 'end',
  exit3: 'end',
  kill: 'end',
  leak: 'end',
  tooManyOperations: 'end',
  scribble: 'end',
  forgePast: 'end',
  forgeFuture: 'end',
  garbage: 'odd',
  logFlood: 'odd',
  lateOperations: 'odd',
  hugeAnswer: 'odd',
  fork: 'odd',
  doubleFork: 'odd',
  ignoreSignals: 'odd',
  closeOutput: 'odd',
  answerTwice: 'late',
  exitLate: 'late',
} as const satisfies Record<string, Effect>

interface Kind {
  readonly spec: string
  readonly file: string
  readonly memoryMiB: number
  readonly behaviours: Readonly<Record<string, Effect>>
}

export const KINDS = {
  thread: { spec: 'runtime: nodejs\n  handler: handler.cjs:handler', file: 'handler.cjs', memoryMiB: 96, behaviours: NODE },
  process: {
    spec: 'runtime: nodejs\n  isolation: process\n  handler: handler.cjs:handler',
    file: 'handler.cjs',
    memoryMiB: 192,
    // What takes the whole process with it, or leaves children to it, is not for a thread of the agent.
    behaviours: { ...NODE, kill: 'end', fork: 'odd', doubleFork: 'odd' },
  },
  python: { spec: 'runtime: python\n  handler: handler:handler', file: 'handler.py', memoryMiB: 96, behaviours: PYTHON },
  asyncio: {
    spec: 'runtime: python\n  handler: handler:handler_async',
    file: 'handler.py',
    memoryMiB: 96,
    // The ticket before one's own may be another event of this worker, which it may answer.
    behaviours: { ...PYTHON, forgePast: 'late' },
  },
  native: {
    spec: 'runtime: native\n  handler: handler.so',
    file: 'handler.c',
    memoryMiB: 192,
    behaviours: {
      ok: 'odd',
      fail: 'fault',
      segfault: 'end',
      abort: 'end',
      exit0: 'end',
      exit3: 'end',
      kill: 'end',
      hang: 'end',
      busy: 'end',
      smash: 'end',
      smashEvent: 'late',
      garbage: 'odd',
      logFlood: 'odd',
      fork: 'odd',
      doubleFork: 'odd',
      answerTwice: 'odd',
      forge: 'late',
      freeTwice: 'late',
    },
  },
  shell: {
    spec: 'runtime: shell\n  handler: handler.sh\n  outputStream: random',
    file: 'handler.sh',
    memoryMiB: 96,
    behaviours: {
      ok: 'odd',
      exit3: 'fault',
      hang: 'fault',
      busy: 'fault',
      kill: 'fault',
      tooMuch: 'fault',
      garbage: 'odd',
      logFlood: 'odd',
      fork: 'odd',
      doubleFork: 'odd',
    },
  },
} as const satisfies Record<string, Kind>

export type KindName = keyof typeof KINDS

export interface Step {
  readonly id: string
  readonly behaviour: string
  readonly effect: Effect
  /** Attempts that misbehave. */
  readonly times: number
  readonly emits: number
  /** A direct call, which has one attempt; else a durable event. */
  readonly isCall: boolean
  readonly topic: number
}

export interface Program {
  readonly kind: KindName
  readonly numWorkers: number
  readonly concurrency: number
  readonly orderKey: 'topic' | 'none'
  readonly steps: readonly Step[]
}

/** `isBenign`: as many events for as long, and none that misbehaves. */
export function randomProgram(random: () => number, name: string, kinds: readonly KindName[], isBenign = false): Program {
  const below = (n: number) => Math.floor(random() * n)
  const one = <T>(list: readonly T[]): T => list[below(list.length)]!
  const kind = one(kinds)
  const all = Object.entries<Effect>(KINDS[kind].behaviours)
  let endsLeft = ENDS_MAX
  const steps = Array.from({ length: STEPS.least + below(STEPS.most - STEPS.least + 1) }, (_, at): Step => {
    const isCall = random() < CALL_SHARE
    let [behaviour, effect] = random() < ODD_SHARE ? one(all) : (['ok', 'odd'] as const)
    let times = isCall ? MAX_ATTEMPTS : 1 + below(MAX_ATTEMPTS)
    const ends = effect === 'end' ? (isCall ? 1 : times) : effect === 'late' ? 1 : 0
    if (ends > endsLeft) [behaviour, effect] = ['ok', 'odd']
    else endsLeft -= ends
    if (effect === 'odd') times = 0
    if (isBenign) [behaviour, effect, times] = [benignFor(behaviour), 'odd', 0]
    const emits = kind === 'shell' ? 1 : below(EMITS_MAX + 1)
    return { id: `${name}.${at}`, behaviour, effect, times, emits, isCall, topic: below(TOPICS) }
  })
  return { kind, numWorkers: 1 + below(2), concurrency: one([1, 4, 16]), orderKey: one(['topic', 'none']), steps }
}

/** What holds a worker, or a processor, for as long, and is no fault. */
function benignFor(behaviour: string): string {
  if (behaviour === 'hang') return 'wait'
  return behaviour === 'busy' ? 'spin' : 'ok'
}

export const bodyOfStep = ({ id, behaviour, times, emits }: Step): string => `${id}|${behaviour}|${times}|${emits}`

/** `lane`: the name of the function; `mark`: an environment variable that everything it starts inherits. */
export function specOf(program: Program, lane: string, mark: string): string {
  const { spec, memoryMiB } = KINDS[program.kind]
  return `metadata: { name: ${lane} }
spec:
  ${spec}
  eventTimeout: ${EVENT_TIMEOUT_MS}ms
  maxAttempts: ${MAX_ATTEMPTS}
  retry: { first: 5ms, max: 1s }
  env: [{ name: ${mark}, value: "1" }]
  resources: { limits: { memory: ${memoryMiB * program.numWorkers}Mi } }
  triggers:
    events:
      kind: mqtt
      workerAllocatorName: all
      numWorkers: ${program.numWorkers}
      concurrency: ${program.concurrency}
      orderKey: ${program.orderKey}
      attributes: { subscriptions: [{ topic: "${lane}/#" }] }
    calls:
      kind: http
      workerAllocatorName: all
      numWorkers: ${program.numWorkers}
      concurrency: ${program.concurrency}
      workerAvailabilityTimeoutMilliseconds: 30000
`
}

const FOLDER = join(import.meta.dirname, 'random-handlers')

/** Puts a program's files there. */
export function writeFiles({ kind }: Program, directory: string): void {
  const { file } = KINDS[kind]
  if (kind === 'native') buildLibrary(join(FOLDER, file), join(directory, 'handler.so'))
  else copyFileSync(join(FOLDER, file), join(directory, file))
}

/** What became of one step, as seen from outside. */
export interface Outcome {
  /** Answers to its call; `error` is empty when it went well. */
  readonly answers: readonly { readonly status: number; readonly error: string }[]
  /** Errors of its dead letters. */
  readonly dead: readonly string[]
  /** Bodies of its rows: id#attempt#number. */
  readonly rows: readonly string[]
}

/** What is wrong with it; empty: nothing. A time-out is never held against it: the machine may be slower than the time-out. */
export function judge(step: Step, hasLate: boolean, { answers, dead, rows }: Outcome): string[] {
  const wrong: string[] = []
  const { id, isCall, emits } = step
  // What harms others may be found out before its own answer counts, or after.
  const times = step.effect === 'late' ? 0 : step.times
  if (isCall && answers.length !== 1) wrong.push(`${answers.length} answers to the call`)
  if (isCall && dead.length > 0) wrong.push('a call became a dead letter')
  if (dead.length > 1) wrong.push(`${dead.length} dead letters`)
  const errors = isCall ? answers.map(({ error }) => error) : dead
  const isFailed = isCall ? answers.some(({ status }) => status >= 400) : dead.length > 0
  const isExcused = hasLate || errors.some((error) => error.includes('did not '))
  const mustFail = times >= (isCall ? 1 : MAX_ATTEMPTS)
  if (isFailed && !mustFail && !isExcused) wrong.push(`it failed, and nothing is wrong with it: ${errors.join()}`)
  if (!isFailed && mustFail) wrong.push('it should have failed')
  const attempt = rows[0]?.split('#')[1] ?? '1'
  const expected = isFailed ? [] : Array.from({ length: emits }, (_, i) => `${id}#${attempt}#${i}`)
  if (rows.toSorted().join() !== expected.join()) wrong.push(`rows ${rows.join()}, expected ${expected.join() || 'none'}`)
  if (rows.length > 0 && Number(attempt) <= times) wrong.push(`rows of attempt ${attempt}, which failed`)
  if (wrong.length > 0) wrong.push(`answers ${JSON.stringify(answers)}, dead letters ${JSON.stringify(dead)}`)
  return wrong
}

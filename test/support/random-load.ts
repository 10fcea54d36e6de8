/** Runs random programs side by side in one processor, with two well-behaved neighbours beside them, and judges what became of each. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { bodyOfStep, judge, specOf, type Outcome, type Program, type Step, writeFiles } from './random-handlers.ts'
import { bodyOf } from '../../runtime/event/event-writer.ts'
import type { ProcessorRig } from './processor-rig.ts'

/** No step of any program needs as long. */
const PROGRAM_MS_MAX = 60_000
const NEIGHBOUR_EVERY_MS = 20
const LOOP_EVERY_MS = 5
const STREAM = 'random'
const ROWS_A_READ = 5_000
const LOG_LINES_KEPT = 100

export const MARK = `DUNLIN_RANDOM_${process.pid}`

interface Seen {
  answers: { status: number; error: string }[]
  dead: string[]
  rows: string[]
}

const NEIGHBOURS = {
  'neighbour-python': ['python', 'main.py', 'def handler(context, event):\n    return event.body\n'],
  'neighbour-node': ['nodejs', 'main.cjs', 'exports.handler = (context, event) => event.body\n'],
} as const

export interface NeighbourFigures {
  readonly calls: number
  readonly errors: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** How late the agent's own event loop was. */
  readonly loopP99Ms: number
}

export class RandomLoad {
  readonly rig: ProcessorRig
  /** What was wrong, each with what it takes to see it again. */
  readonly wrong: string[] = []
  readonly counts = { programs: 0, events: 0, calls: 0, handled: 0, dead: 0, failedCalls: 0, restarts: 0 }
  readonly #neighbours: readonly string[]
  readonly #seen = new Map<string, Seen>()
  #stream = 0
  #nextSeq = 1
  #lastLetter = 0
  #reading: Promise<void> | null = null
  #latencies: number[] = []
  #neighbourErrors = 0
  #neighbourCalls = 0
  #waiting = 0

  constructor(rig: ProcessorRig, neighbours: readonly (keyof typeof NEIGHBOURS)[]) {
    this.rig = rig
    this.#neighbours = neighbours
  }

  async start(): Promise<void> {
    const { rig } = this
    await Promise.all(
      this.#neighbours.map((name) => {
        const [runtime, file, code] = NEIGHBOURS[name as keyof typeof NEIGHBOURS]
        const spec = `metadata: { name: ${name} }
spec: { runtime: ${runtime}, env: [{ name: ${MARK}, value: "1" }], triggers: { a: { kind: http } } }
`
        return rig.processor.activate(rig.version(spec, { [file]: code }))
      }),
    )
    this.#stream = await rig.processor.streams.open(STREAM)
  }

  /** Programs on so many lanes at once, and the neighbours called all the while. */
  async run(programs: readonly Program[], lanes: number): Promise<NeighbourFigures> {
    this.#latencies = []
    this.#neighbourErrors = 0
    this.#neighbourCalls = 0
    const loop = monitorEventLoopDelay({ resolution: LOOP_EVERY_MS })
    loop.enable()
    const calling = setInterval(() => {
      for (const name of this.#neighbours) this.#callNeighbour(name)
    }, NEIGHBOUR_EVERY_MS)
    const left = programs.entries()
    const lane = async (_: unknown, number: number) => {
      for (const [at, program] of left) await this.#runProgram(`r${number}`, program, at)
    }
    try {
      await Promise.all(Array.from({ length: lanes }, lane))
    } finally {
      clearInterval(calling)
    }
    await this.rig.until(() => this.#waiting === 0)
    loop.disable()
    const loopP99Ms = Math.max(0, loop.percentile(99) / 1e6 - LOOP_EVERY_MS)
    const sorted = this.#latencies.toSorted((a, b) => a - b)
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0
    return { calls: this.#neighbourCalls, errors: this.#neighbourErrors, p50Ms: at(0.5), p99Ms: at(0.99), loopP99Ms }
  }

  #callNeighbour(name: string): void {
    const sinceMs = performance.now()
    this.#waiting++
    this.#neighbourCalls++
    let answers = 0
    this.rig.processor.invoke(name, this.rig.processor.events.finish(Buffer.from('echo')), (answer) => {
      this.#waiting--
      this.#latencies.push(performance.now() - sinceMs)
      if (answer.status !== 200 || answer.body.toString() !== 'echo' || ++answers > 1) this.#neighbourErrors++
    })
  }

  async #runProgram(lane: string, program: Program, at: number): Promise<void> {
    const { rig } = this
    const { processor } = rig
    const say = (what: string) => this.wrong.push(`program ${at}: ${what}\n${JSON.stringify(program)}`)
    const before = (await this.#ledgerOf(lane)).accepted
    const version = rig.version(specOf(program, lane, MARK), {})
    writeFiles(program, version.directory)
    await processor.activate(version)
    const durable = program.steps.filter(({ isCall }) => !isCall)
    for (const step of program.steps) this.#seen.set(step.id, { answers: [], dead: [], rows: [] })
    await Promise.all(program.steps.map((step) => this.#send(lane, step)))
    const status = () => processor.status().find(({ name }) => name === lane)!
    const isDone = () => {
      const { handled, buried } = status().triggers.find(({ name }) => name === 'events')!
      return (
        handled + buried >= durable.length && program.steps.every((step) => !step.isCall || this.#seen.get(step.id)!.answers.length > 0)
      )
    }
    const untilMs = performance.now() + PROGRAM_MS_MAX
    await rig.until(() => isDone() || performance.now() > untilMs)
    if (!isDone()) say(`not done after ${PROGRAM_MS_MAX} ms: ${JSON.stringify(status())}; ${this.#logTail()}`)
    this.counts.restarts += status().workers.restarts
    await processor.deactivate(lane, 500)
    await this.#look()
    const ledger = await this.#ledgerOf(lane)
    if (!ledger.balanced) say('the ledger is not balanced')
    if (ledger.waiting !== 0) say(`${ledger.waiting} events wait`)
    if (ledger.accepted - before !== durable.length) say(`${ledger.accepted - before} events were accepted of ${durable.length}`)
    this.#judge(program, say)
    if (rig.logs.length > LOG_LINES_KEPT) rig.logs.splice(0, rig.logs.length - LOG_LINES_KEPT)
  }

  async #send(lane: string, step: Step): Promise<void> {
    const { rig } = this
    if (!step.isCall) return rig.publish(`${lane}/${step.topic}`, bodyOfStep(step))
    const record = rig.processor.events.finish(Buffer.from(bodyOfStep(step)))
    rig.processor.invoke(
      lane,
      record,
      ({ status, error = '' }) => {
        const seen = this.#seen.get(step.id)
        if (seen) seen.answers.push({ status, error })
        else this.wrong.push(`call ${step.id} was answered again when it was judged already: ${status} ${error}`)
      },
      'calls',
    )
  }

  #judge(program: Program, say: (what: string) => void): void {
    const { counts } = this
    const hasLate = program.steps.some(({ effect }) => effect === 'late')
    counts.programs++
    for (const step of program.steps) {
      const outcome: Outcome = this.#seen.get(step.id)!
      this.#seen.delete(step.id)
      for (const wrong of judge(step, hasLate, outcome)) say(`${bodyOfStep(step)}${step.isCall ? ' (call)' : ''}: ${wrong}`)
      if (step.isCall) {
        counts.calls++
        if (outcome.answers.some(({ status }) => status >= 400)) counts.failedCalls++
      } else {
        counts.events++
        if (outcome.dead.length > 0) counts.dead++
        else counts.handled++
      }
    }
  }

  /** Reads what is new among rows and dead letters; one after the other. */
  async #look(): Promise<void> {
    const before = this.#reading
    const reading = (async () => {
      await before
      await this.#lookNow()
    })()
    this.#reading = reading
    await reading
  }

  async #lookNow(): Promise<void> {
    const { store } = this.rig
    await store.flush()
    for (;;) {
      const rows = await store.readStream(this.#stream, this.#nextSeq, Number.MAX_SAFE_INTEGER, ROWS_A_READ, 16 << 20)
      if (rows.length === 0) break
      for (const { record } of rows) this.#take('rows', bodyOf(record).toString())
      const last = rows.at(-1)!.seq
      await store.releaseStream(this.#stream, this.#nextSeq, last)
      this.#nextSeq = last + 1
    }
    let lastLetter = this.#lastLetter
    let beforeId: number | undefined
    for (;;) {
      const letters = await store.deadLetters(100, beforeId)
      const news = letters.filter(({ id }) => id > this.#lastLetter)
      for (const { id, record, error } of news) {
        lastLetter = Math.max(lastLetter, id)
        this.#take('dead', bodyOf(record).toString(), error)
      }
      if (news.length < letters.length || letters.length === 0) break
      beforeId = letters.at(-1)!.id
    }
    this.#lastLetter = lastLetter
  }

  #take(what: 'rows' | 'dead', body: string, value = body): void {
    if (body === 'late') return
    const seen = this.#seen.get(body.split(/[#|]/)[0]!)
    if (seen) seen[what].push(value)
    else this.wrong.push(`${what} of an event that was judged already: ${body.slice(0, 100)}`)
  }

  async #ledgerOf(lane: string): Promise<{ accepted: number; waiting: number; balanced: boolean }> {
    const { sources } = await this.rig.store.ledger()
    return sources.find(({ name }) => name === `${lane}/events`) ?? { accepted: 0, waiting: 0, balanced: true }
  }

  #logTail(): string {
    return this.rig.logs
      .slice(-10)
      .map(({ message }) => message.slice(0, 200))
      .join('\n')
  }
}

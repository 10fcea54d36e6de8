import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseFunctionConfig } from '../config/function-config.ts'
import { Clock } from '../runtime/base/clock.ts'
import { silentLogger } from '../runtime/base/log.ts'
import { UuidSource } from '../runtime/base/uuid.ts'
import { Delivery } from '../runtime/dispatch/delivery.ts'
import { EventWriter } from '../runtime/event/event-writer.ts'
import { AT } from '../runtime/event/record.ts'
import { runtimes } from '../runtime/workers/registry.ts'
import type { Worker, WorkerHost } from '../runtime/workers/worker.ts'
import { measure, openJson } from './ring.ts'
import { figure, median, printFigures, quantile } from './support.ts'

/**
 * A handler that echoes, in every runtime, through its worker as the agent has it: time-outs, tickets and checks included. The
 * reference is one-at-a-time JSON over a Unix socket to a Python handler, in the same run. Then what a worker costs: the time
 * from nothing to its first answer, and memory.
 */
export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  try {
    writeHandlers(folder)
    await references()
    for (const guest of GUESTS) await tableOf(guest, folder)
    await costs(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

export interface GuestKind {
  readonly name: string
  readonly spec: string
  /** Fewer events where each is a process. */
  readonly share: number
  readonly sizes: readonly Size[]
}

export interface Size {
  readonly name: string
  readonly bytes: number
  readonly events: number
}

const SIZES: readonly Size[] = [
  { name: '0 B', bytes: 0, events: 60_000 },
  { name: '1 KiB', bytes: 1 << 10, events: 40_000 },
  { name: '64 KiB', bytes: 1 << 16, events: 3_000 },
  { name: '1 MiB', bytes: 1 << 20, events: 150 },
]
const ROUNDS = 3
/** Each event is one, and the machine has two cores. */
const PROGRAMS_AT_ONCE = 4
const STARTS = 5
const NATIVE = fileURLToPath(new URL('../runtime/native/', import.meta.url))

const GUESTS: readonly GuestKind[] = [
  { name: 'Python', spec: 'runtime: python, handler: "echo:handler"', share: 1, sizes: SIZES },
  { name: 'JavaScript, thread', spec: 'runtime: nodejs, handler: "echo:handler"', share: 1, sizes: SIZES },
  { name: 'JavaScript, process', spec: 'runtime: nodejs, isolation: process, handler: "echo:handler"', share: 1, sizes: SIZES },
  { name: 'Java', spec: 'runtime: java, handler: Echo', share: 1, sizes: SIZES },
  { name: 'C', spec: 'runtime: native, handler: libecho.so', share: 1, sizes: SIZES },
  { name: 'shell (cat)', spec: 'runtime: shell, handler: cat', share: 1 / 200, sizes: SIZES.slice(0, 3) },
]

function writeHandlers(folder: string): void {
  writeFileSync(join(folder, 'echo.py'), 'def handler(context, event):\n    return event.body\n')
  writeFileSync(join(folder, 'echo.js'), 'export const handler = (context, event) => event.body\n')
  writeFileSync(
    join(folder, 'Echo.java'),
    'public class Echo implements dunlin.Handler {\n  public Object handle(dunlin.Context context, dunlin.Event event) { return event.body(); }\n}\n',
  )
  writeFileSync(
    join(folder, 'echo.c'),
    '#include <dunlin.h>\nDUNLIN_DEFINE_ABI\nDUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {\n  dunlin_span body = dunlin_body(event);\n  return dunlin_respond(context, event, 200, body.data, body.length);\n}\n',
  )
  execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-I', NATIVE, '-o', join(folder, 'libecho.so'), join(folder, 'echo.c')])
}

async function references(): Promise<void> {
  const json = await openJson()
  const rows: [string, ...string[]][] = []
  for (const { name, bytes, events } of SIZES) {
    const { medianUs, perSecond } = await measure(json.echo, { events: Math.min(2_000, events), inFlight: 1, bytes }, json.pid)
    rows.push([name, `${figure(medianUs)} us`, `${figure(perSecond)}/s`])
  }
  await json.close()
  printFigures('Reference: JSON over a Unix socket, Python handler, one at a time', rows, ['median', 'throughput'])
}

async function tableOf(kind: GuestKind, folder: string): Promise<void> {
  const bed = new Bed(kind, folder)
  await bed.start(2)
  const rows: [string, ...string[]][] = []
  for (const size of kind.sizes) {
    const one = await bed.echo(size, 1, 1, kind.share / 10)
    const sixteen = await bed.echo(size, 16, 1, kind.share)
    const many = await bed.echo(size, 1024, 1, kind.share)
    const two = await bed.echo(size, 1024, 2, kind.share)
    rows.push([
      size.name,
      `${figure(one.medianUs)} us`,
      `${figure(one.p99Us)} us`,
      ...[sixteen, many, two].map(({ perSecond }) => `${figure(perSecond)}/s`),
    ])
  }
  printFigures(kind.name, rows, ['1 in flight', 'p99', '16', '1,024', '1,024, 2 workers'])
  await bed.stop()
}

async function costs(folder: string): Promise<void> {
  const rows: [string, ...string[]][] = []
  for (const kind of GUESTS) {
    const starts: number[] = []
    let memory = 0
    for (let i = 0; i < STARTS; i++) {
      const bed = new Bed(kind, folder)
      const from = performance.now()
      await bed.start(1)
      await bed.echoOnce({ name: '', bytes: 0, events: 1 }, 1, 1)
      starts.push(performance.now() - from)
      memory = await bed.memoryBytes()
      await bed.stop()
    }
    rows.push([kind.name, `${figure(median(starts))} ms`, `${figure(memory / 1e6)} MB`])
  }
  const bare = Array.from({ length: STARTS }, () => {
    const from = performance.now()
    execFileSync(process.execPath, ['-e', '0'])
    return performance.now() - from
  })
  rows.push(['node -e 0', `${figure(median(bare))} ms`, ''])
  printFigures('One worker: from nothing to its first answer, and its memory then', rows, ['start', 'memory'])
}

interface Echoed {
  readonly perSecond: number
  readonly medianUs: number
  readonly p99Us: number
}

/** Workers of one kind, and somebody who gives them events as fast as they take them. */
export class Bed {
  readonly #kind: GuestKind
  readonly #folder: string
  readonly #events = new EventWriter(new Clock(), new UuidSource(), 1)
  readonly #workers: Worker[] = []
  #onAnswer: (worker: Worker, delivery: Delivery) => void = () => {}
  #onRoom: () => void = () => {}
  #failed: (error: Error) => void = () => {}

  constructor(kind: GuestKind, folder: string) {
    this.#kind = kind
    this.#folder = folder
  }

  async start(count: number): Promise<void> {
    const config = parseFunctionConfig(`{ metadata: { name: echo }, spec: { ${this.#kind.spec} } }`, 'bench')
    const runtime = await runtimes[config.runtime]()
    for (let id = 0; id < count; id++) {
      const worker = runtime.createWorker({
        id,
        function: { config, version: '1', directory: this.#folder },
        triggers: [{ name: 'in', kind: 'mqtt', class: 'async' }],
        concurrency: config.runtime === 'shell' && config.runtimeAttributes['mode'] !== 'persistent' ? PROGRAMS_AT_ONCE : 1024,
        eventTimeoutMs: 60_000,
        stateExclusive: true,
        host: this.#host(),
        logger: silentLogger,
      })
      await worker.start()
      this.#workers.push(worker)
    }
  }

  /** The median of each figure over some rounds. */
  async echo(size: Size, inFlight: number, workers: number, share: number): Promise<Echoed> {
    const events = Math.max(20, Math.ceil(size.events * share))
    const rounds: Echoed[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push(await this.echoOnce({ ...size, events }, inFlight, workers))
    const of = (key: keyof Echoed) => median(rounds.map((round) => round[key]))
    return { perSecond: of('perSecond'), medianUs: of('medianUs'), p99Us: of('p99Us') }
  }

  async echoOnce({ bytes, events }: Size, inFlight: number, workerCount: number): Promise<Echoed> {
    const record = this.#events.finish(Buffer.alloc(bytes, 0x61))
    const tookUs = new Float64Array(events)
    const workers = this.#workers.slice(0, workerCount)
    const free = Array.from({ length: Math.min(events, inFlight * workerCount) }, () => new Delivery(record, 0, '', 0, null, 0))
    const done = Promise.withResolvers<void>()
    this.#failed = done.reject
    let given = 0
    let answered = 0
    let isAsked = false
    const give = (): void => {
      isAsked = false
      for (let delivery = free.pop(); delivery && given < events; delivery = free.pop()) {
        const worker = workers.reduce((least, next) => (next.inFlight < least.inFlight ? next : least))
        delivery.sinceMs = performance.now()
        if (!worker.offer(delivery)) {
          free.push(delivery)
          break
        }
        given++
      }
      for (const worker of workers) worker.flush()
    }
    // At the end of the turn, as the pipeline does: all that it brought goes out with one doorbell.
    const ask = (): void => {
      if (isAsked) return
      isAsked = true
      setImmediate(give)
    }
    this.#onRoom = ask
    this.#onAnswer = (_worker, delivery) => {
      tookUs[answered++] = (performance.now() - delivery.sinceMs) * 1000
      free.push(delivery)
      if (answered === events) done.resolve()
      else ask()
    }
    const from = performance.now()
    give()
    await done.promise
    const perSecond = events / ((performance.now() - from) / 1000)
    tookUs.sort()
    return { perSecond, medianUs: quantile(tookUs, 0.5), p99Us: quantile(tookUs, 0.99) }
  }

  async memoryBytes(): Promise<number> {
    return await this.#workers[0]!.memoryBytes()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.stop(2_000)))
  }

  #host(): WorkerHost {
    const unexpected = (what: string) => () => this.#failed(new Error(`${this.#kind.name}: ${what}`))
    return {
      onResult: (worker, delivery, result) => {
        if (result.readUInt16LE(AT.status) !== 200 || result.readUInt32LE(AT.bodyLength) !== delivery.record.readUInt32LE(AT.bodyLength)) {
          return this.#failed(new Error(`${this.#kind.name}: a wrong answer`))
        }
        this.#onAnswer(worker, delivery)
      },
      onAck: unexpected('an acknowledgement'),
      onStream: unexpected('a stream'),
      onFailed: (_delivery, error) => this.#failed(error),
      onExit: (_worker, error) => this.#failed(error),
      onRoom: () => this.#onRoom(),
      getState: (_key, answer) => answer(undefined),
      call: unexpected('a call'),
      log: () => {},
    }
  }
}

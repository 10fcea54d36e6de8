import { codeOf, describeError, FunctionError, ProtocolError } from '../../base/errors.ts'
import type { Delivery } from '../../dispatch/delivery.ts'
import { bodyOf } from '../../event/event-writer.ts'
import { AT, Flag } from '../../event/record.ts'
import { resultRecord } from '../../event/result-record.ts'
import { functionEnvironment } from '../child.ts'
import { childGroups, type ChildGroup } from '../child-groups.ts'
import { InFlight } from '../in-flight.ts'
import { forwardLines } from '../output-lines.ts'
import type { TriggerInfo, Worker, WorkerOptions } from '../worker.ts'
import { CLOUDEVENTS_BATCH, cloudEventsBatch } from './cloud-events-batch.ts'
import { eventEnvironment } from './event-environment.ts'
import { framings, type Framing, type ProgramAnswer } from './framing.ts'
import { spawnPiped, type PipedChild } from './piped-child.ts'
import { findProgram } from './program.ts'
import { shellAttributes, type ShellAttributes } from './shell-attributes.ts'

/** When the program has ended, what it left in its pipes, or somebody it has left behind, gets so long. */
const LAST_OUTPUT_MS = 200
const LOG_WARN = 30

/** What was asked with one request: an event, or a batch. */
interface Asked {
  readonly firstTicket: number
  readonly deliveries: readonly Delivery[]
}

/**
 * One program for many events (`mode: persistent`): requests on its stdin, answers on its stdout in the same order (framing.ts), log on
 * stderr. Up to `capacity` events are on their way at once; the program works on the oldest.
 *
 *   new -> starting -> serving -> draining (its stdin ends when it has answered all) -> stopped
 *               \__________\__________\_________________________________________________^  it ended, was too late, or broke the framing
 *
 * What it held when it ends goes back to the pool: the oldest is to blame, the others had not been started.
 */
export class PersistentShellWorker implements Worker {
  readonly id: number
  readonly capacity: number
  readonly isSequential = true
  readonly #options: WorkerOptions
  readonly #attributes: ShellAttributes
  readonly #framing: Framing
  readonly #inFlight: InFlight
  readonly #asked: Asked[] = []
  readonly #stopped = Promise.withResolvers<void>()
  #state: 'new' | 'starting' | 'serving' | 'draining' | 'stopped' = 'new'
  #started: PipedChild | undefined
  #group: ChildGroup | undefined
  #nextTicket = 1
  #batches = 0
  #cause: Error | undefined
  #lastError = ''

  constructor(options: WorkerOptions) {
    this.id = options.id
    this.capacity = options.concurrency
    this.#options = options
    this.#attributes = shellAttributes(options.function.config)
    this.#framing = framings[this.#attributes.framing]()
    this.#inFlight = new InFlight(options.eventTimeoutMs, () => this.#onTimeout())
    this.#inFlight.isSequential = true
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  forEachInFlight(visit: (delivery: Delivery) => void): void {
    this.#inFlight.forEach(visit)
  }

  /** It serves as soon as it runs: a program says nothing before its first answer. */
  async start(): Promise<void> {
    const { config, directory } = this.#options.function
    const program = findProgram(config.handler, directory)
    this.#state = 'starting'
    this.#group = childGroups.make('shell')
    const { command, args } = this.#group.commandOf(program.command, [...program.args, ...this.#attributes.arguments])
    try {
      this.#started = spawnPiped(command, args, { cwd: directory, env: functionEnvironment(config.env), detached: true })
      this.#listen(this.#started)
      await spawned(this.#started)
    } catch (error) {
      this.#state = 'stopped'
      this.#group.close()
      this.#stopped.resolve()
      throw new FunctionError('worker-start', `Cannot run the program "${config.handler}"`, { cause: error })
    }
    if (this.#state === 'starting') this.#state = 'serving'
  }

  offer(delivery: Delivery): boolean {
    if (this.#state !== 'serving' || this.#inFlight.size >= this.capacity) return false
    delivery.batch = 0
    const { record, attempt } = delivery
    return this.#ask([delivery], () => this.#framing.request(eventEnvironment(record, attempt, this.#triggerOf(record)), bodyOf(record)))
  }

  offerBatch(batch: readonly Delivery[]): boolean {
    const held = this.#inFlight.size
    if (this.#state !== 'serving' || (held > 0 && held + batch.length > this.capacity)) return false
    this.#batches++
    for (const delivery of batch) delivery.batch = this.#batches
    const fields = { NUCLIO_EVENT_CONTENT_TYPE: CLOUDEVENTS_BATCH, NUCLIO_EVENT_COUNT: String(batch.length) }
    const records = batch.map(({ record }) => record)
    return this.#ask(batch, () => this.#framing.request(fields, cloudEventsBatch(records, this.#triggerOf)))
  }

  flush(): void {
    this.#started?.stdin.uncork()
  }

  memoryBytes(): number {
    return this.#group?.memoryBytes() ?? 0
  }

  end(cause: Error): void {
    this.#kill(cause)
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#state === 'new') this.#state = 'stopped'
    if (this.#state === 'stopped') return
    this.#state = 'draining'
    this.#endInput()
    const timer = setTimeout(() => this.#kill(new FunctionError('worker-stopped', `Program did not end within ${graceMs} ms`)), graceMs)
    await this.#stopped.promise
    clearTimeout(timer)
  }

  #ask(deliveries: readonly Delivery[], request: () => Buffer[]): boolean {
    let parts: Buffer[]
    try {
      parts = request()
    } catch (error) {
      // No program gets it in this form: it has failed, each by itself.
      queueMicrotask(() => deliveries.forEach((delivery) => this.#options.host.onFailed(delivery, error as Error)))
      return true
    }
    const { stdin } = this.#started!
    this.#asked.push({ firstTicket: this.#nextTicket, deliveries })
    for (const delivery of deliveries) this.#inFlight.add(this.#nextTicket++, delivery)
    // One write for all that a turn brings; `flush` follows.
    if (stdin.writableCorked === 0) stdin.cork()
    for (const part of parts) if (part.length > 0) stdin.write(part)
    return true
  }

  #listen({ child, stdin, stdout, stderr, closed }: PipedChild): void {
    this.#group!.add(child.pid)
    // A program that has closed its stdin and lives is found by its time-out; one that has ended tells so itself.
    stdin.on('error', () => {})
    stdout.on('data', (chunk: Buffer) => this.#onOutput(chunk))
    forwardLines(stderr, (line) => {
      this.#lastError = line
      this.#options.host.log(LOG_WARN, line, '')
    })
    let timer: NodeJS.Timeout | undefined
    child.once('exit', () => {
      timer = setTimeout(() => {
        this.#group!.kill()
        stdout.destroy()
        stderr.destroy()
      }, LAST_OUTPUT_MS)
    })
    void closed.then(() => {
      clearTimeout(timer)
      const how = child.signalCode ? `killed by ${child.signalCode}` : `exit code ${child.exitCode}`
      this.#onEnded(this.#lastError === '' ? how : `${how}: ${this.#lastError}`)
    })
  }

  #onOutput(chunk: Buffer): void {
    if (this.#state === 'stopped' || this.#cause) return
    try {
      for (const answer of this.#framing.read(chunk)) this.#onAnswer(answer)
      // What comes while nothing is asked belongs to no event, and would be taken for the next one's answer.
      if (this.#asked.length === 0 && this.#framing.isInAnswer) throw unasked()
    } catch (error) {
      this.#kill(error as Error)
    }
    if (this.#state === 'draining') this.#endInput()
  }

  #onAnswer({ status, contentType, headers, body }: ProgramAnswer): void {
    const asked = this.#asked.shift()
    if (!asked) throw unasked()
    const { 'Content-Type': type, 'content-type': lower, ...own } = this.#attributes.responseHeaders
    const error = status < 500 ? undefined : body.length > 0 ? body.toString('utf8', 0, ERROR_BYTES_MAX) : `Program answered ${status}`
    const answer = { status, contentType: contentType ?? type ?? lower ?? 'text/plain', headers: { ...own, ...headers }, body, error }
    for (const [place, delivery] of asked.deliveries.entries()) {
      this.#inFlight.remove(asked.firstTicket + place)
      const result = resultRecord(answer)
      if (asked.deliveries.length > 1) result[AT.flags]! |= Flag.batchFailed
      this.#options.host.onResult(this, delivery, result)
    }
  }

  /** Who drains tells the program by the end of its input. */
  #endInput(): void {
    const stdin = this.#started?.stdin
    if (this.#asked.length === 0) stdin?.end()
    else stdin?.uncork()
  }

  #onTimeout(): void {
    this.#kill(new FunctionError('event-timeout', `Program did not answer within ${this.#options.eventTimeoutMs} ms`))
  }

  /** The rest follows when it is gone. */
  #kill(cause: Error): void {
    if (this.#state === 'stopped') return
    this.#cause ??= cause
    this.#group?.kill()
  }

  #onEnded(how: string): void {
    if (this.#state === 'stopped') return
    const wasStarting = this.#state === 'starting'
    const isAsked = this.#state === 'draining' && (!this.#cause || codeOf(this.#cause) === 'worker-stopped')
    this.#state = 'stopped'
    this.#group!.close()
    const { running, unstarted } = this.#inFlight.takeAll()
    this.#asked.length = 0
    this.#stopped.resolve()
    if (wasStarting) return
    const cause = this.#cause ?? new FunctionError('worker-exited', `Program ended by itself: ${how}`)
    const error = cause instanceof ProtocolError ? new FunctionError(cause.code, describeError(cause), { cause }) : cause
    this.#options.host.onExit(this, error, isAsked ? [] : running, isAsked ? [...running, ...unstarted] : unstarted)
  }

  readonly #triggerOf = (record: Buffer): TriggerInfo => {
    const { triggers } = this.#options
    return triggers[record.readUInt16LE(AT.source)] ?? triggers[0]!
  }
}

const ERROR_BYTES_MAX = 4096

function unasked(): ProtocolError {
  return new ProtocolError('shell-framing', 'Program broke the framing: it answered without an event', {
    hint: 'what is no answer belongs on stderr',
  })
}

function spawned({ child }: PipedChild): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
}

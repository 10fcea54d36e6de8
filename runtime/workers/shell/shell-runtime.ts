import { codeOf, FunctionError } from '../../base/errors.ts'
import type { Delivery } from '../../dispatch/delivery.ts'
import { bodyOf } from '../../event/event-writer.ts'
import { AT, Flag } from '../../event/record.ts'
import { resultRecord } from '../../event/result-record.ts'
import { functionEnvironment } from '../child.ts'
import { childGroups, type ChildGroup } from '../child-groups.ts'
import { InFlight } from '../in-flight.ts'
import { forwardLines } from '../output-lines.ts'
import type { Runtime, TriggerInfo, Worker, WorkerOptions } from '../worker.ts'
import { CLOUDEVENTS_BATCH, cloudEventsBatch } from './cloud-events-batch.ts'
import { eventEnvironment } from './event-environment.ts'
import { ANSWER_BYTES_MAX } from './framing.ts'
import { headerArguments } from './header-arguments.ts'
import { spawnPiped, type PipedChild } from './piped-child.ts'
import { PersistentShellWorker } from './persistent-worker.ts'
import { findProgram, type Program } from './program.ts'
import { shellAttributes, type ShellAttributes } from './shell-attributes.ts'

/** What a program has started and left behind gets so long to write the rest of its output. */
const LAST_OUTPUT_MS = 200

/** A program per event: argv array, body on stdin, stdout = answer, stderr = log, event fields in the environment. Never a shell string. */
export const shellRuntime: Runtime = {
  createWorker: (options) =>
    shellAttributes(options.function.config).isPersistent ? new PersistentShellWorker(options) : new ShellWorker(options),
}

class ShellWorker implements Worker {
  readonly id: number
  readonly capacity: number
  readonly #options: WorkerOptions
  readonly #inFlight: InFlight
  readonly #children = new Map<number, ChildGroup>()
  /** Groups whose program has ended, for the next one. */
  readonly #freeGroups: ChildGroup[] = []
  readonly #attributes: ShellAttributes
  #program: Program = { command: '', args: [], isOwnFile: false }
  #nextTicket = 1
  #draining: PromiseWithResolvers<void> | undefined

  constructor(options: WorkerOptions) {
    this.id = options.id
    this.capacity = options.concurrency
    this.#options = options
    this.#attributes = shellAttributes(options.function.config)
    this.#inFlight = new InFlight(options.eventTimeoutMs, (late, ticket) => this.#onTimeout(late, ticket))
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Each event is a process of its own: the kernel decides which ends first. */
  get isSequential(): boolean {
    return false
  }

  forEachInFlight(visit: (delivery: Delivery) => void): void {
    this.#inFlight.forEach(visit)
  }

  async start(): Promise<void> {
    const { config, directory } = this.#options.function
    this.#program = findProgram(config.handler, directory)
    if (this.#attributes.argumentsFromHeader && !this.#program.isOwnFile) {
      throw new FunctionError(
        'arguments-unsafe',
        `Cannot take arguments from callers for "${config.handler}": it is no file of the bundle`,
        {
          hint: 'with a program of the PATH (sh, python3) they could say what it runs: make the handler a script that calls it',
        },
      )
    }
  }

  offer(delivery: Delivery): boolean {
    if (this.#draining || this.#inFlight.size >= this.capacity) return false
    delivery.batch = 0
    let env: Record<string, string | undefined>
    let args = this.#attributes.arguments
    try {
      env = this.#environment(delivery)
      if (this.#attributes.argumentsFromHeader) args = headerArguments(delivery.record) ?? args
    } catch (error) {
      queueMicrotask(() => this.#options.host.onFailed(delivery, error as Error))
      return true
    }
    this.#run([delivery], env, args, bodyOf(delivery.record))
    return true
  }

  /** One program for all of them: a JSON array of CloudEvents on its stdin, and what it prints is the answer of each. */
  offerBatch(batch: readonly Delivery[]): boolean {
    const held = this.#inFlight.size
    if (this.#draining || (held > 0 && held + batch.length > this.capacity)) return false
    const { config } = this.#options.function
    const env = {
      ...functionEnvironment(config.env),
      NUCLIO_EVENT_CONTENT_TYPE: CLOUDEVENTS_BATCH,
      NUCLIO_EVENT_COUNT: String(batch.length),
    }
    const records = batch.map(({ record }) => record)
    for (const delivery of batch) delivery.batch = this.#nextTicket
    this.#run(batch, env, this.#attributes.arguments, cloudEventsBatch(records, this.#triggerOf))
    return true
  }

  flush(): void {}

  async stop(graceMs: number): Promise<void> {
    this.#draining ??= Promise.withResolvers()
    if (this.#inFlight.size === 0) {
      this.#inFlight.takeAll()
      return this.#killAll()
    }
    const timer = setTimeout(() => {
      const { running } = this.#inFlight.takeAll()
      this.#killAll()
      this.#options.host.onExit(this, new FunctionError('worker-stopped', `Program did not end within ${graceMs} ms`), [], running)
      this.#draining!.resolve()
    }, graceMs)
    await this.#draining.promise
    clearTimeout(timer)
    this.#killAll()
  }

  memoryBytes(): number {
    let sum = 0
    for (const group of this.#children.values()) sum += group.memoryBytes()
    return sum
  }

  end(cause: Error): void {
    const { running } = this.#inFlight.takeAll()
    this.#killAll()
    this.#options.host.onExit(this, cause, running, [])
    this.#draining?.resolve()
  }

  #killAll(): void {
    for (const group of [...this.#children.values(), ...this.#freeGroups]) group.close()
    this.#children.clear()
    this.#freeGroups.length = 0
  }

  readonly #triggerOf = (record: Buffer): TriggerInfo => {
    const { triggers } = this.#options
    return triggers[record.readUInt16LE(AT.source)] ?? triggers[0]!
  }

  #environment({ record, attempt }: Delivery): Record<string, string | undefined> {
    return {
      ...functionEnvironment(this.#options.function.config.env),
      ...eventEnvironment(record, attempt, this.#triggerOf(record)),
    }
  }

  #run(batch: readonly Delivery[], env: Record<string, string | undefined>, own: readonly string[], input: Buffer): void {
    const { config, directory } = this.#options.function
    const ticket = this.#nextTicket
    for (const delivery of batch) this.#inFlight.add(this.#nextTicket++, delivery)
    const group = this.#freeGroups.pop() ?? childGroups.make('shell')
    const { command, args } = group.commandOf(this.#program.command, [...this.#program.args, ...own])
    this.#children.set(ticket, group)
    let started: PipedChild
    try {
      started = spawnPiped(command, args, { cwd: directory, env, detached: true })
    } catch (error) {
      this.#setFree(ticket)
      process.nextTick(() => this.#answer(ticket, batch, 500, EMPTY, `Cannot run the program: ${(error as Error).message}`))
      return
    }
    const { child, stdin, stdout, stderr, closed } = started
    group.add(child.pid)
    const output: Buffer[] = []
    let outputBytes = 0
    let failure = ''
    stdout.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length
      if (outputBytes <= ANSWER_BYTES_MAX) output.push(chunk)
      else if (failure === '') {
        failure = `Program wrote more than ${ANSWER_BYTES_MAX} bytes`
        group.kill()
      }
    })
    let lastError = ''
    forwardLines(stderr, (line) => {
      lastError = line
      this.#options.host.log(30, line, '')
    })
    // A program that does not read its input closes the pipe: that is its right.
    stdin.on('error', () => {})
    stdin.end(input)
    let isStarted = true
    child.on('error', (error) => {
      isStarted = false
      this.#setFree(ticket)
      const reason = codeOf(error) === 'ENOENT' ? `there is no program "${config.handler}"` : error.message
      this.#answer(ticket, batch, 500, EMPTY, `Cannot run the program: ${reason}`)
    })
    // It may have left somebody behind who holds its output open.
    let lastOutput: NodeJS.Timeout | undefined
    const endOutput = () => {
      group.kill()
      // Where the kernel gives no groups, somebody may still hold them.
      stdout.destroy()
      stderr.destroy()
    }
    child.once('exit', () => (lastOutput = setTimeout(endOutput, LAST_OUTPUT_MS)))
    void closed.then(() => {
      // Its group may be another program's by now.
      if (!isStarted) return
      const { exitCode: code, signalCode: signal } = child
      clearTimeout(lastOutput)
      group.kill()
      this.#setFree(ticket)
      if (failure === '' && signal) failure = `Program was killed by ${signal}`
      if (failure === '' && code !== 0) failure = `Program ended with exit code ${code}${lastError ? `: ${lastError}` : ''}`
      this.#answer(ticket, batch, failure === '' ? 200 : 500, Buffer.concat(output), failure === '' ? undefined : failure)
    })
  }

  /** The same for each event of the batch that began with `first`. */
  #answer(first: number, batch: readonly Delivery[], status: number, body: Buffer, error: string | undefined): void {
    const { 'Content-Type': type, 'content-type': lower, ...headers } = this.#attributes.responseHeaders
    for (const [place, delivery] of batch.entries()) {
      if (this.#inFlight.get(first + place) !== delivery) continue
      this.#inFlight.remove(first + place)
      const result = resultRecord({ status, contentType: type ?? lower ?? 'text/plain', headers, body, error })
      if (batch.length > 1) result[AT.flags]! |= Flag.batchFailed
      this.#options.host.onResult(this, delivery, result)
    }
    if (this.#inFlight.size === 0) this.#draining?.resolve()
  }

  #setFree(ticket: number): void {
    const group = this.#children.get(ticket)
    this.#children.delete(ticket)
    if (group && this.#freeGroups.length < this.capacity && !this.#draining) this.#freeGroups.push(group)
    else group?.close()
  }

  /** Of a batch, nobody knows which event took so long: it has failed as a whole. */
  #onTimeout(late: Delivery, ticket: number): void {
    const { host, eventTimeoutMs } = this.#options
    const error = `Program did not end within ${eventTimeoutMs} ms`
    if (late.batch !== 0) {
      const batch: Delivery[] = []
      this.#inFlight.forEach((delivery) => delivery.batch === late.batch && batch.push(delivery))
      this.#children.get(late.batch)?.kill()
      this.#answer(late.batch, batch, 500, EMPTY, error)
    } else {
      this.#children.get(ticket)?.kill()
      this.#inFlight.remove(ticket)
      host.onFailed(late, new FunctionError('event-timeout', error))
    }
    this.#inFlight.rearm()
    if (this.#inFlight.size === 0) this.#draining?.resolve()
  }
}

const EMPTY = Buffer.alloc(0)

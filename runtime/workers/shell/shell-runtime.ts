import { accessSync, constants, existsSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { spawn, type ChildProcess } from 'node:child_process'
import { codeOf, FunctionError } from '../../base/errors.ts'
import type { Delivery } from '../../dispatch/delivery.ts'
import { bodyOf } from '../../event/event-writer.ts'
import { resultRecord } from '../../event/result-record.ts'
import { functionEnvironment, killGroup } from '../child.ts'
import { InFlight } from '../in-flight.ts'
import { forwardLines } from '../output-lines.ts'
import type { Runtime, Worker, WorkerOptions } from '../worker.ts'
import { eventEnvironment } from './event-environment.ts'

const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/** A program per event: argv array, body on stdin, stdout = answer, stderr = log, event fields in the environment. Never a shell string. */
export const shellRuntime: Runtime = {
  createWorker: (options) => new ShellWorker(options),
}

class ShellWorker implements Worker {
  readonly id: number
  readonly capacity: number
  readonly #options: WorkerOptions
  readonly #inFlight: InFlight
  readonly #children = new Map<number, ChildProcess>()
  #command = ''
  #arguments: readonly string[] = []
  #headers: Record<string, string> = {}
  #nextTicket = 1
  #draining: PromiseWithResolvers<void> | undefined

  constructor(options: WorkerOptions) {
    this.id = options.id
    this.capacity = options.concurrency
    this.#options = options
    this.#inFlight = new InFlight(options.eventTimeoutMs, (late) => this.#onTimeout(late))
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

  /** Finds the program: a file of the bundle (which must be executable), else a name on the PATH. */
  async start(): Promise<void> {
    const { config, directory } = this.#options.function
    const file = resolve(directory, config.handler)
    if (file.startsWith(resolve(directory) + sep) && existsSync(file)) {
      try {
        accessSync(file, constants.X_OK)
      } catch (error) {
        throw new FunctionError('handler-not-executable', `Cannot run "${config.handler}": it is not executable`, {
          cause: error,
          hint: `chmod +x ${config.handler}`,
        })
      }
      this.#command = file
    } else if (!config.handler.includes('/')) this.#command = config.handler
    else throw new FunctionError('handler-not-found', `Cannot find the program "${config.handler}" in the bundle`)
    this.#arguments = (config.runtimeAttributes['arguments'] as readonly string[] | undefined) ?? []
    this.#headers = (config.runtimeAttributes['responseHeaders'] as Record<string, string> | undefined) ?? {}
  }

  offer(delivery: Delivery): boolean {
    if (this.#draining || this.#inFlight.size >= this.capacity) return false
    const ticket = this.#nextTicket++
    this.#inFlight.add(ticket, delivery)
    this.#run(ticket, delivery)
    return true
  }

  flush(): void {}

  async stop(graceMs: number): Promise<void> {
    this.#draining ??= Promise.withResolvers()
    if (this.#inFlight.size === 0) return
    const timer = setTimeout(() => {
      const { running } = this.#inFlight.takeAll()
      for (const child of this.#children.values()) killGroup(child.pid)
      this.#children.clear()
      this.#options.host.onExit(this, new FunctionError('worker-stopped', `Program did not end within ${graceMs} ms`), [], running)
      this.#draining!.resolve()
    }, graceMs)
    await this.#draining.promise
    clearTimeout(timer)
  }

  #run(ticket: number, delivery: Delivery): void {
    const { config, directory } = this.#options.function
    const env = { ...functionEnvironment(config.env), ...eventEnvironment(delivery.record, delivery.attempt, this.#options.trigger) }
    const child = spawn(this.#command, this.#arguments, { cwd: directory, env, stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#children.set(ticket, child)
    const output: Buffer[] = []
    let outputBytes = 0
    let failure = ''
    child.stdout.on('data', (chunk: Buffer) => {
      outputBytes += chunk.length
      if (outputBytes <= OUTPUT_BYTES_MAX) output.push(chunk)
      else if (failure === '') {
        failure = `Program wrote more than ${OUTPUT_BYTES_MAX} bytes`
        killGroup(child.pid)
      }
    })
    let lastError = ''
    forwardLines(child.stderr, (line) => {
      lastError = line
      this.#options.host.log(30, line, '')
    })
    // A program that does not read its input closes the pipe: that is its right.
    child.stdin.on('error', () => {})
    child.stdin.end(bodyOf(delivery.record))
    child.on('error', (error) => {
      const reason = codeOf(error) === 'ENOENT' ? `there is no program "${config.handler}"` : error.message
      this.#answer(ticket, delivery, 500, EMPTY, `Cannot run the program: ${reason}`)
    })
    child.on('close', (code, signal) => {
      killGroup(child.pid)
      if (failure === '' && signal) failure = `Program was killed by ${signal}`
      if (failure === '' && code !== 0) failure = `Program ended with exit code ${code}${lastError ? `: ${lastError}` : ''}`
      this.#answer(ticket, delivery, failure === '' ? 200 : 500, Buffer.concat(output), failure === '' ? undefined : failure)
    })
  }

  #answer(ticket: number, delivery: Delivery, status: number, body: Buffer, error: string | undefined): void {
    this.#children.delete(ticket)
    if (this.#inFlight.get(ticket) !== delivery) return
    this.#inFlight.remove(ticket)
    const { 'Content-Type': type, 'content-type': lower, ...headers } = this.#headers
    this.#options.host.onResult(this, delivery, resultRecord({ status, contentType: type ?? lower ?? 'text/plain', headers, body, error }))
    if (this.#inFlight.size === 0) this.#draining?.resolve()
  }

  #onTimeout(late: Delivery): void {
    for (const [ticket, child] of this.#children) {
      if (this.#inFlight.get(ticket) !== late) continue
      killGroup(child.pid)
      this.#children.delete(ticket)
      this.#inFlight.remove(ticket)
      this.#inFlight.rearm()
      this.#options.host.onFailed(late, new FunctionError('event-timeout', `Program did not end within ${this.#options.eventTimeoutMs} ms`))
      if (this.#inFlight.size === 0) this.#draining?.resolve()
      return
    }
  }
}

const EMPTY = Buffer.alloc(0)

/**
 * A process that `dunlin up` keeps running: hub, agent, readings.
 *
 *   stopped -> starting -> running -> (unexpected exit) waiting -> starting ...
 *   any -> stopping -> stopped
 *
 * It gets a process group of its own, so that Ctrl-C reaches the parent alone and the parent decides the order. Its stdin is a
 * pipe that ends when the parent dies, and then it stops by itself (exit-with-parent.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { ceilingMs } from '../../runtime/base/backoff.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import { EXIT_ON_STDIN_END } from '../../runtime/base/exit-with-parent.ts'
import { NODE_ARGUMENTS } from '../cli/replace-process.ts'
import { oneLine } from '../cli/table.ts'
import { LogFile } from './log-file.ts'

const RESTART = { firstMs: 500, maxMs: 30_000 }
/** One that ran for so long starts counting anew. */
const STEADY_MS = 60_000
const STARTS_MAX = 3

export interface ChildOptions {
  readonly name: string
  readonly script: string
  /** Asked anew at each start. */
  readonly args: () => readonly string[]
  readonly logFile: string
  /** Prints a JSON line {"event":"ready",...} when it serves. */
  readonly hasReadyLine: boolean
  readonly onEvent: (text: string) => void
  /** At each start. */
  readonly onSpawn: () => void
}

export class Child {
  readonly #options: ChildOptions
  readonly #log: LogFile
  #process: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #restartTimer: NodeJS.Timeout | undefined
  #isStopping = false
  #failures = 0

  constructor(options: ChildOptions) {
    this.#options = options
    this.#log = new LogFile(options.logFile)
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Resolves with what the ready line says. Rejects when it ended before, `STARTS_MAX` times in a row. */
  async start(): Promise<Record<string, unknown>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#startOnce()
      } catch (error) {
        // The one before may still be draining: a `dunlin up` that was killed leaves its children a moment to end.
        if (this.#isStopping || attempt === STARTS_MAX) throw error
        await new Promise((resolve) => setTimeout(resolve, RESTART.firstMs * 2 ** attempt))
      }
    }
  }

  /** SIGTERM, then SIGKILL after `graceMs`. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#restartTimer)
    this.#process?.kill('SIGTERM')
    const timer = setTimeout(() => this.kill(), graceMs)
    await this.#exited
    clearTimeout(timer)
    this.#log.close()
  }

  kill(): void {
    this.#isStopping = true
    this.#process?.kill('SIGKILL')
  }

  #startOnce(): Promise<Record<string, unknown>> {
    const { name, script, args, hasReadyLine } = this.#options
    if (this.#isStopping) return Promise.reject(new ResourceError('stopping', `Cannot start the ${name}: stopping`))
    const { promise, resolve, reject } = Promise.withResolvers<Record<string, unknown>>()
    const exited = Promise.withResolvers<void>()
    const startedMs = performance.now()
    const child = spawn(process.execPath, [...NODE_ARGUMENTS, script, ...args()], {
      detached: true,
      stdio: ['pipe', 'pipe', this.#log.open()],
      env: { ...process.env, [EXIT_ON_STDIN_END]: '1' },
    })
    this.#process = child
    this.#exited = exited.promise
    let isReady = !hasReadyLine
    child.stdin?.on('error', () => {})
    this.#options.onSpawn()
    if (isReady) child.once('spawn', () => resolve({}))
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const ready = readyOf(line)
      if (!ready || isReady) return
      isReady = true
      resolve(ready)
    })
    const onEnd = (how: string) => {
      if (this.#process === child) this.#process = undefined
      exited.resolve()
      if (!isReady) reject(this.#startError(how))
      else if (!this.#isStopping) this.#restartLater(how, performance.now() - startedMs)
    }
    child.once('error', (error) => onEnd(error.message))
    child.once('exit', (code, signal) => onEnd(signal ? `was killed by ${signal}` : `ended with exit code ${code}`))
    return promise
  }

  #restartLater(how: string, ranMs: number): void {
    const { name, onEvent } = this.#options
    this.#failures = ranMs > STEADY_MS ? 1 : this.#failures + 1
    const waitMs = ceilingMs(this.#failures, RESTART)
    onEvent(`the ${name} ${how}; it starts again in ${waitMs / 1000} s`)
    this.#restartTimer = setTimeout(() => {
      const startedMs = performance.now()
      this.#startOnce().then(
        () => onEvent(`the ${name} runs again`),
        (error: Error) => {
          if (!this.#isStopping) this.#restartLater(error.message, performance.now() - startedMs)
        },
      )
    }, waitMs)
  }

  #startError(how: string): ResourceError {
    const { name, logFile } = this.#options
    const last = this.#log.tail(3).map(lineText)
    return new ResourceError('child-failed', `the ${name} ${how} before it was ready${last.length > 0 ? `: ${last.join(' / ')}` : ''}`, {
      hint: `its log is ${logFile}`,
    })
  }
}

function readyOf(line: string): Record<string, unknown> | undefined {
  try {
    const value = JSON.parse(line) as Record<string, unknown>
    return value['event'] === 'ready' ? value : undefined
  } catch {
    return undefined
  }
}

/** A pino line as its message; any other as it is. */
function lineText(line: string): string {
  try {
    const { msg, error, err } = JSON.parse(line) as { msg?: string; error?: string; err?: { message?: string } }
    return oneLine([msg, error ?? err?.message].filter(Boolean).join(': '))
  } catch {
    return oneLine(line)
  }
}

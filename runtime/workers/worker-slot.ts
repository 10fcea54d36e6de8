import { FunctionError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { afterAnswer, afterEnd, answerMatters, crashWindowMs, NO_HISTORY, type SlotHistory } from './restart-policy.ts'
import type { Worker } from './worker.ts'

export interface SlotHost {
  createWorker(id: number): Worker
  /** Its worker serves. */
  onServing(slot: WorkerSlot): void
  /** A worker that was made is no more. */
  onGone(worker: Worker): void
  /** A worker that was to serve did not become ready; the slot tries again. */
  onNotReady(slot: WorkerSlot, error: Error): void
}

/**
 * A place in a pool, where one worker stands after the other.
 *
 *   empty -> starting -> serving -> empty                 (told to end)
 *      ^        |  ^        |
 *      |        v  |        v
 *      +------- resting <---+    ended by itself, or did not start: again after a wait (restart-policy.ts)
 *
 * `close` ends it in any state, for good.
 */
export class WorkerSlot {
  readonly id: number
  readonly #host: SlotHost
  readonly #logger: Logger
  /** The one that serves. */
  worker: Worker | undefined
  /** The worker has a suspect, and nothing else until that is answered. */
  isAlone = false
  /** Events given so far. */
  offers = 0
  restarts = 0
  lastError: Error | undefined
  #starting: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  #history: SlotHistory = NO_HISTORY
  #startMs = 0
  #servingSinceMs = 0
  #isClosed = false

  constructor(id: number, host: SlotHost, logger: Logger) {
    this.id = id
    this.#host = host
    this.#logger = logger
  }

  get isEmpty(): boolean {
    return !this.worker && !this.#starting && !this.#timer
  }

  /** Starting, or about to be started again. */
  get isComing(): boolean {
    return this.#starting !== undefined || this.#timer !== undefined
  }

  /** Ends and failed starts since something was answered. */
  get failures(): number {
    return this.#history.failures
  }

  get isCrashLoop(): boolean {
    const isOver = this.worker && performance.now() - this.#servingSinceMs >= crashWindowMs(this.#startMs)
    return this.#history.isCrashLoop && !isOver
  }

  /** Rejects when the worker does not become ready; then the slot is empty again. */
  async start(): Promise<void> {
    const worker = this.#host.createWorker(this.id)
    const startedMs = performance.now()
    this.#starting = worker
    try {
      await worker.start()
    } catch (error) {
      this.#host.onGone(worker)
      throw error
    } finally {
      this.#startMs = performance.now() - startedMs
      this.#starting = undefined
    }
    if (this.#isClosed) {
      await worker.stop(0)
      this.#host.onGone(worker)
      throw new FunctionError('worker-stopped', 'Worker was stopped while it started')
    }
    this.worker = worker
    this.#servingSinceMs = performance.now()
    this.#host.onServing(this)
  }

  /** Starts a worker and keeps trying. */
  startInBackground(waitMs = 0): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.start().catch((error: Error) => {
        if (this.#isClosed) return
        this.#rest(error, true, 0, 'worker did not start')
        this.#host.onNotReady(this, error)
      })
    }, waitMs)
  }

  /** Its worker answered. */
  answered(): void {
    if (answerMatters(this.#history)) this.#history = afterAnswer(this.#history)
  }

  /** Its worker is gone. False: that was asked for. */
  ended(worker: Worker, error: Error, running: number): boolean {
    if (this.worker !== worker || this.#isClosed) return false
    this.worker = undefined
    this.isAlone = false
    this.restarts++
    this.#rest(error, running === 0, performance.now() - this.#servingSinceMs, 'worker ended')
    return true
  }

  /** Ends its worker; the slot stays usable. */
  async empty(graceMs: number): Promise<void> {
    const { worker } = this
    this.worker = undefined
    this.isAlone = false
    if (!worker) return
    await worker.stop(graceMs)
    this.#host.onGone(worker)
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosed = true
    clearTimeout(this.#timer)
    this.#timer = undefined
    await Promise.all([this.empty(graceMs), this.#starting?.stop(0)])
  }

  #rest(error: Error, isOwnFault: boolean, servedMs: number, what: string): void {
    this.lastError = error
    const wasLoop = this.#history.isCrashLoop
    const { history, waitMs } = afterEnd(this.#history, { atMs: performance.now(), isOwnFault, startMs: this.#startMs, servedMs })
    this.#history = history
    this.#logger.warn({ worker: this.id, error: error.message, restartInMs: waitMs, crashLoop: history.isCrashLoop }, what)
    if (history.isCrashLoop && !wasLoop) this.#logger.error({ worker: this.id, error: error.message }, 'worker is in a crash loop')
    this.startInBackground(waitMs)
  }
}

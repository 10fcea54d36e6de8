import { ceilingMs } from '../base/backoff.ts'
import { FunctionError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { Answer, Delivery, PoolConsumer } from '../dispatch/delivery.ts'
import type { Runtime, Worker, WorkerHost, WorkerOptions } from './worker.ts'

const RESTART = { firstMs: 100, maxMs: 60_000 }

export type { PoolConsumer } from '../dispatch/delivery.ts'

export interface PoolOptions extends Omit<WorkerOptions, 'id' | 'host'> {
  readonly runtime: Runtime
  readonly size: number
  readonly firstWorkerId: number
  readonly consumer: PoolConsumer
  readonly getState: WorkerHost['getState']
  readonly call: WorkerHost['call']
  readonly log: WorkerHost['log']
  /** A worker that was serving has ended by itself. */
  readonly onEnded: (error: Error) => void
}

/**
 * The workers of one trigger of one function version. A worker that ends is started again, at once the first time and with
 * growing waits when it keeps ending; what it held goes back to the consumer.
 */
export class WorkerPool implements WorkerHost {
  readonly getState: WorkerHost['getState']
  readonly call: WorkerHost['call']
  readonly log: WorkerHost['log']
  readonly #options: PoolOptions
  readonly #consumer: PoolConsumer
  readonly #logger: Logger
  readonly #workers: (Worker | undefined)[] = []
  readonly #failures: number[] = []
  /** The worker in this slot has a suspect, and nothing else until that is answered. */
  readonly #isAlone: boolean[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #stopping = false
  #restarts = 0
  #lastError: Error | undefined

  constructor(options: PoolOptions) {
    this.#options = options
    this.#consumer = options.consumer
    this.#logger = options.logger
    this.getState = options.getState
    this.call = options.call
    this.log = options.log
    for (let i = 0; i < options.size; i++) {
      this.#workers.push(undefined)
      this.#failures.push(0)
      this.#isAlone.push(false)
    }
  }

  get readyCount(): number {
    let ready = 0
    for (const worker of this.#workers) if (worker) ready++
    return ready
  }

  get size(): number {
    return this.#options.size
  }

  get restarts(): number {
    return this.#restarts
  }

  /** Why the last worker ended; undefined while all is well. */
  get lastError(): Error | undefined {
    return this.readyCount === this.size ? undefined : this.#lastError
  }

  get inFlight(): number {
    let sum = 0
    for (const worker of this.#workers) sum += worker?.inFlight ?? 0
    return sum
  }

  /** One worker that handles one event after the other: it keeps the order by itself. */
  get isSequential(): boolean {
    return this.#workers.length === 1 && this.#workers[0]?.isSequential === true
  }

  forEachInFlight(visit: (delivery: Delivery) => void): void {
    for (const worker of this.#workers) worker?.forEachInFlight(visit)
  }

  /** Starts all workers. One that fails: the others are stopped and its error is thrown. */
  async start(): Promise<void> {
    const results = await Promise.allSettled(this.#workers.map((_, slot) => this.#startWorker(slot)))
    const failed = results.find((result) => result.status === 'rejected')
    if (!failed) return
    await this.stop(0)
    throw failed.reason
  }

  /** Starts all workers and keeps trying with those that fail. */
  startInBackground(): void {
    for (let slot = 0; slot < this.size; slot++) this.#restart(slot, 0)
  }

  offer(delivery: Delivery): boolean {
    const slot = this.#leastLoaded(1, delivery.isSuspect)
    if (slot === -1 || !this.#workers[slot]!.offer(delivery)) return false
    this.#isAlone[slot] = delivery.isSuspect
    return true
  }

  /** Gives all of them to one worker. A batch larger than a worker's capacity goes to one that has nothing else. */
  offerBatch(batch: readonly Delivery[]): boolean {
    const { isSuspect } = batch[0]!
    const slot = this.#leastLoaded(batch.length, isSuspect)
    if (slot === -1 || !this.#workers[slot]!.offerBatch(batch)) return false
    this.#isAlone[slot] = isSuspect
    return true
  }

  /** Asks handlers to acknowledge what they have answered and not acknowledged. */
  drain(): void {
    for (const worker of this.#workers) worker?.drain?.()
  }

  #leastLoaded(events: number, isSuspect: boolean): number {
    let best = -1
    let bestLoad = Infinity
    for (let slot = 0; slot < this.#workers.length; slot++) {
      const worker = this.#workers[slot]
      if (!worker) continue
      const load = worker.inFlight
      if (load >= bestLoad || (load > 0 && (load + events > worker.capacity || isSuspect || this.#isAlone[slot]))) continue
      best = slot
      bestLoad = load
    }
    return best
  }

  flush(): void {
    for (const worker of this.#workers) worker?.flush()
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    await Promise.all(this.#workers.map(async (worker) => worker?.stop(graceMs)))
  }

  onResult(worker: Worker, delivery: Delivery, result: Buffer): void {
    this.#failures[worker.id - this.#options.firstWorkerId] = 0
    this.#consumer.onResult(delivery, result)
  }

  onAck(delivery: Delivery, error: string | null): void {
    this.#consumer.onAck(delivery, error)
  }

  onStream(delivery: Delivery, head: Answer): void {
    this.#consumer.onStream(delivery, head)
  }

  onFailed(delivery: Delivery, error: Error): void {
    this.#consumer.onLost(delivery, error, true)
  }

  onRoom(): void {
    this.#consumer.onRoom()
  }

  onExit(worker: Worker, error: Error, blamed: Delivery[], innocent: Delivery[]): void {
    const slot = worker.id - this.#options.firstWorkerId
    const wasServing = this.#workers[slot] === worker
    if (wasServing) this.#workers[slot] = undefined
    // One event was running: it did it. Several: nobody knows which, so each is tried again by itself, and none is counted yet.
    const isKnown = blamed.length === 1
    // Last first: the consumer puts each back at the front.
    for (let i = innocent.length - 1; i >= 0; i--) this.#consumer.onLost(innocent[i]!, error, false)
    for (let i = blamed.length - 1; i >= 0; i--) {
      blamed[i]!.isSuspect = !isKnown
      this.#consumer.onLost(blamed[i]!, error, isKnown)
    }
    if (this.#stopping || !wasServing) return
    this.#lastError = error
    this.#options.onEnded(error)
    this.#restarts++
    const failures = this.#failures[slot]!++
    const waitMs = failures === 0 ? 0 : ceilingMs(failures, RESTART)
    this.#logger.warn({ worker: worker.id, error: error.message, running: blamed.length, restartInMs: waitMs }, 'worker ended')
    this.#restart(slot, waitMs)
  }

  #restart(slot: number, waitMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      this.#startWorker(slot).catch((error: Error) => {
        if (this.#stopping) return
        this.#lastError = error
        const nextMs = ceilingMs(++this.#failures[slot]!, RESTART)
        this.#logger.warn({ worker: this.#options.firstWorkerId + slot, error: error.message, retryInMs: nextMs }, 'worker did not start')
        this.#restart(slot, nextMs)
      })
    }, waitMs)
    this.#timers.add(timer)
  }

  async #startWorker(slot: number): Promise<void> {
    const { runtime, firstWorkerId, ...options } = this.#options
    const worker = runtime.createWorker({ ...options, id: firstWorkerId + slot, host: this })
    await worker.start()
    if (this.#stopping) {
      await worker.stop(0)
      throw new FunctionError('worker-stopped', 'Worker was stopped while it started')
    }
    this.#workers[slot] = worker
    this.#consumer.onRoom()
  }
}

import type { Logger } from '../base/log.ts'
import { returnedMemory } from '../base/returned-memory.ts'
import type { AllocationMode } from '../../config/function-config.ts'
import type { Answer, Delivery, PoolConsumer } from '../dispatch/delivery.ts'
import { AT } from '../event/record.ts'
import { slotOfKey } from './key-slot.ts'
import type { MemoryBudget } from './memory-budget.ts'
import { PoolScaler } from './pool-scaler.ts'
import type { PoolStatus } from './pool-status.ts'
import { WorkerSlot, type SlotHost } from './worker-slot.ts'
import type { Runtime, Worker, WorkerHost, WorkerOptions } from './worker.ts'

export type { PoolConsumer } from '../dispatch/delivery.ts'

/** An idle worker that is not needed any more gets this long to end. */
const SHRINK_GRACE_MS = 1_000

/** A worker has ended by itself, or did not become ready when it was started again. */
export interface WorkerEnded {
  readonly error: Error
  /** Its number; the one that is started in its place has the same. */
  readonly worker: number
  /** Events that were running in it. */
  readonly running: number
  /** How often it has ended since it answered something. */
  readonly failures: number
  readonly isCrashLoop: boolean
}

export interface PoolOptions extends Omit<WorkerOptions, 'id' | 'host'> {
  readonly runtime: Runtime
  readonly minWorkers: number
  readonly maxWorkers: number
  readonly idleTimeoutMs: number
  readonly prewarm: boolean
  readonly allocation: AllocationMode
  readonly firstWorkerId: number
  /** Who gives it events, in the order of `triggers`. */
  readonly consumers: readonly PoolConsumer[]
  readonly getState: WorkerHost['getState']
  readonly call: WorkerHost['call']
  readonly log: WorkerHost['log']
  /** Of all pools of the function version. */
  readonly memory: MemoryBudget
  readonly onEnded: (ended: WorkerEnded) => void
}

/**
 * The workers of one trigger of one function version, or of several that share them. A worker that ends is started again, and
 * what it held goes back to the pipeline it came from.
 *
 * Sizes: fixed, when `minWorkers` is `maxWorkers`; else it grows and shrinks (PoolScaler), down to none with `minWorkers` 0.
 */
export class WorkerPool implements WorkerHost, SlotHost {
  readonly getState: WorkerHost['getState']
  readonly call: WorkerHost['call']
  readonly log: WorkerHost['log']
  readonly #options: PoolOptions
  readonly #consumers: readonly PoolConsumer[]
  readonly #logger: Logger
  readonly #slots: WorkerSlot[] = []
  readonly #scaler: PoolScaler | undefined
  /** Of a pool that several share: those that were refused, the one that waits longest first. */
  readonly #refused = new Set<PoolConsumer>()
  readonly #isShared: boolean
  readonly #isStatic: boolean
  #isStopped = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#consumers = options.consumers
    this.#logger = options.logger
    this.#isShared = options.consumers.length > 1
    this.#isStatic = options.allocation === 'static' && options.maxWorkers > 1
    this.getState = options.getState
    this.call = options.call
    this.log = options.log
    for (let i = 0; i < options.maxWorkers; i++) this.#slots.push(new WorkerSlot(options.firstWorkerId + i, this, this.#logger))
    if (options.minWorkers < options.maxWorkers) {
      this.#scaler = new PoolScaler({
        ...options,
        slots: this.#slots,
        hasMemory: () => options.memory.hasRoom,
        grow: (slot) => slot.startInBackground(),
        shrink: (slot) => void slot.empty(SHRINK_GRACE_MS),
      })
    }
  }

  get readyCount(): number {
    let ready = 0
    for (const { worker } of this.#slots) if (worker) ready++
    return ready
  }

  /** Worker numbers it may use, from its first. */
  get maxWorkers(): number {
    return this.#options.maxWorkers
  }

  /** One worker, ever, for one trigger, that handles one event after the other: it keeps the order by itself. */
  get isSequential(): boolean {
    return !this.#isShared && this.#slots.length === 1 && this.#slots[0]!.worker?.isSequential === true
  }

  /** Why the last worker ended; undefined while all is well. */
  get lastError(): Error | undefined {
    for (const slot of this.#slots) if (slot.lastError && (slot.isComing || slot.isCrashLoop)) return slot.lastError
    return undefined
  }

  get status(): PoolStatus {
    const status = { min: this.#options.minWorkers, max: this.maxWorkers, ready: 0, wanted: 0, restarts: 0, inFlight: 0, crashLoop: false }
    const { usedBytes: memoryBytes, limitBytes: memoryBytesMax, peakBytes: memoryBytesPeak } = this.#options.memory
    for (const slot of this.#slots) {
      if (slot.worker) status.ready++
      if (!slot.isEmpty) status.wanted++
      status.restarts += slot.restarts
      status.inFlight += slot.worker?.inFlight ?? 0
      status.crashLoop ||= slot.isCrashLoop
    }
    return { ...status, memoryBytes, memoryBytesMax, memoryBytesPeak, wanted: Math.max(status.wanted, status.min) }
  }

  forEachInFlight(visit: (delivery: Delivery) => void): void {
    for (const { worker } of this.#slots) worker?.forEachInFlight(visit)
  }

  /** Starts the workers that it has from the start, at least one: so it is known that they start. One that fails: its error is thrown. */
  async start(): Promise<void> {
    const results = await Promise.allSettled(this.#firstSlots(1).map((slot) => slot.start()))
    const failed = results.find((result) => result.status === 'rejected')
    if (failed) {
      await this.stop(0)
      throw failed.reason
    }
    this.#scaler?.look()
  }

  /** At start of the agent: starts `minWorkers` workers, with `prewarm` at least one, and keeps trying with those that fail. */
  startInBackground(): void {
    for (const slot of this.#firstSlots(this.#options.prewarm ? 1 : 0)) slot.startInBackground()
    this.#scaler?.look()
  }

  /** False: no worker can take it now; `onRoom` comes when one can. */
  offer(delivery: Delivery, consumer: PoolConsumer): boolean {
    const slot = this.#slotFor(delivery, 1)
    if (slot) {
      this.#address(delivery, consumer)
      if (slot.worker!.offer(delivery)) return this.#given(slot, delivery, 1, consumer)
    }
    return this.#refuse(consumer)
  }

  /** Gives all of them to one worker (with static allocation: that of the first). A batch larger than its capacity needs an idle one. */
  offerBatch(batch: readonly Delivery[], consumer: PoolConsumer): boolean {
    const slot = this.#slotFor(batch[0]!, batch.length)
    if (slot) {
      for (const delivery of batch) this.#address(delivery, consumer)
      if (slot.worker!.offerBatch(batch)) return this.#given(slot, batch[0]!, batch.length, consumer)
    }
    return this.#refuse(consumer)
  }

  /** Asks handlers to acknowledge what they have answered and not acknowledged. */
  drain(): void {
    for (const { worker } of this.#slots) worker?.drain?.()
  }

  flush(): void {
    for (const { worker } of this.#slots) worker?.flush()
  }

  async stop(graceMs: number): Promise<void> {
    this.#isStopped = true
    this.#scaler?.stop()
    await Promise.all(this.#slots.map((slot) => slot.close(graceMs)))
  }

  createWorker(id: number): Worker {
    const { runtime, memory, ...options } = this.#options
    const worker = runtime.createWorker({ ...options, id, host: this })
    memory.add(worker)
    return worker
  }

  onGone(worker: Worker): void {
    this.#options.memory.remove(worker)
    returnedMemory.soon()
  }

  get memory(): MemoryBudget {
    return this.#options.memory
  }

  onServing(): void {
    for (const consumer of this.#consumers) consumer.onRoom()
  }

  onResult(worker: Worker, delivery: Delivery, result: Buffer): void {
    this.#slotAt(worker).answered()
    if (this.#refused.size > 0) this.#letOthersIn(delivery.consumer!)
    delivery.consumer!.onResult(delivery, result)
  }

  onAck(delivery: Delivery, error: string | null): void {
    delivery.consumer!.onAck(delivery, error)
  }

  onStream(delivery: Delivery, head: Answer): void {
    delivery.consumer!.onStream(delivery, head)
  }

  onFailed(delivery: Delivery, error: Error): void {
    if (this.#refused.size > 0) this.#letOthersIn(delivery.consumer!)
    delivery.consumer!.onLost(delivery, error, true)
  }

  onRoom(): void {
    for (const consumer of this.#consumers) consumer.onRoom()
  }

  onExit(worker: Worker, error: Error, blamed: Delivery[], innocent: Delivery[]): void {
    // One event was running: it did it. Several: nobody knows which, so each is tried again by itself, and none is counted yet.
    const isKnown = blamed.length === 1
    this.onGone(worker)
    const slot = this.#slotAt(worker)
    const byItself = slot.ended(worker, error, blamed.length)
    // Last first: the consumer puts each back at the front.
    for (let i = innocent.length - 1; i >= 0; i--) innocent[i]!.consumer!.onLost(innocent[i]!, error, false)
    for (let i = blamed.length - 1; i >= 0; i--) {
      blamed[i]!.isSuspect = !isKnown
      blamed[i]!.consumer!.onLost(blamed[i]!, error, isKnown)
    }
    if (byItself) this.#tellEnded(slot, error, blamed.length)
  }

  onNotReady(slot: WorkerSlot, error: Error): void {
    this.#tellEnded(slot, error, 0)
  }

  #tellEnded({ id, failures, isCrashLoop }: WorkerSlot, error: Error, running: number): void {
    if (!this.#isStopped) this.#options.onEnded({ error, worker: id, running, failures, isCrashLoop })
  }

  #firstSlots(least: number): WorkerSlot[] {
    return this.#slots.slice(0, Math.max(least, this.#options.minWorkers))
  }

  #slotAt(worker: Worker): WorkerSlot {
    return this.#slots[worker.id - this.#options.firstWorkerId]!
  }

  #slotFor(delivery: Delivery, events: number): WorkerSlot | undefined {
    return this.#isStatic && delivery.key !== '' ? this.#slotOf(delivery, events) : this.#leastLoaded(delivery, events)
  }

  #address(delivery: Delivery, consumer: PoolConsumer): void {
    delivery.consumer = consumer
    delivery.record.writeUInt16LE(this.#isShared ? this.#consumers.indexOf(consumer) : 0, AT.source)
  }

  #given(slot: WorkerSlot, { isSuspect }: Delivery, events: number, consumer: PoolConsumer): true {
    slot.offers += events
    slot.isAlone = isSuspect
    if (this.#isShared) this.#refused.delete(consumer)
    this.#scaler?.look()
    return true
  }

  #refuse(consumer: PoolConsumer): false {
    if (this.#isShared) this.#refused.add(consumer)
    this.#scaler?.look(true)
    return false
  }

  #slotOf(delivery: Delivery, events: number): WorkerSlot | undefined {
    const slot = this.#slots[slotOfKey(delivery.key, this.#slots.length)]!
    return canTake(slot, delivery, events) ? slot : undefined
  }

  #leastLoaded(delivery: Delivery, events: number): WorkerSlot | undefined {
    let best: WorkerSlot | undefined
    let bestLoad = Infinity
    for (const slot of this.#slots) {
      const load = slot.worker?.inFlight ?? Infinity
      if (load >= bestLoad || !canTake(slot, delivery, events)) continue
      best = slot
      bestLoad = load
    }
    return best
  }

  /**
   * Turns: what became free is offered to those that wait, the longest first, and to the one whose event made it free after them.
   * All are told: the first may have nothing left to give. Who is refused again stands in line again.
   */
  #letOthersIn(last: PoolConsumer): void {
    const waiting = [...this.#refused]
    for (const consumer of waiting) {
      if (consumer === last) continue
      this.#refused.delete(consumer)
      consumer.onRoom()
    }
  }
}

function canTake({ worker, isAlone }: WorkerSlot, { isSuspect }: Delivery, events: number): boolean {
  if (!worker) return false
  const load = worker.inFlight
  return load === 0 || (load + events <= worker.capacity && !isSuspect && !isAlone)
}

import type { PoolConsumer } from '../dispatch/delivery.ts'
import { GROW_AFTER_MS, sizeStep } from './pool-size.ts'
import type { WorkerSlot } from './worker-slot.ts'

/** While a pool could grow, and while a busy one could shrink, it is looked at this often. */
const LOOK_GROWING_MS = GROW_AFTER_MS / 2
const LOOK_BUSY_MS = 1_000

export interface ScalerOptions {
  readonly minWorkers: number
  readonly maxWorkers: number
  readonly idleTimeoutMs: number
  readonly slots: readonly WorkerSlot[]
  readonly consumers: readonly PoolConsumer[]
  readonly hasMemory: () => boolean
  readonly grow: (slot: WorkerSlot) => void
  readonly shrink: (slot: WorkerSlot) => void
}

interface Seen {
  offers: number
  sinceMs: number
}

/**
 * Keeps an elastic pool as large as its work (pool-size.ts decides). It looks while there is something to see: a pool at its least
 * size with nothing to do has no timer.
 */
export class PoolScaler {
  readonly #options: ScalerOptions
  /** Since when a slot's worker has had nothing to do, as far as was seen. */
  readonly #idle = new Map<WorkerSlot, Seen>()
  #pressedSinceMs: number | undefined
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: ScalerOptions) {
    this.#options = options
  }

  /** Something was offered, or a worker came. `isRefused`: an event waits; with no worker at all, one is started now. */
  look(isRefused = false): void {
    if (this.#timer || this.#isStopped) return
    this.#step(isRefused)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #step(isRefused = false): void {
    this.#timer = undefined
    const { slots, minWorkers: min, maxWorkers: max, idleTimeoutMs } = this.#options
    const now = performance.now()
    const serving = slots.filter(({ worker }) => worker)
    const coming = slots.filter(({ isComing }) => isComing).length
    const waits = isRefused || this.#options.consumers.some(({ oldestWaitMs }) => oldestWaitMs > 0)
    const isPressed = serving.length > 0 && serving.every(({ worker }) => isFull(worker!, waits))
    this.#pressedSinceMs = isPressed ? (this.#pressedSinceMs ?? now) : undefined
    const idlest = this.#idlest(serving, now)
    const pressedForMs = serving.length + coming === 0 && waits ? GROW_AFTER_MS : now - (this.#pressedSinceMs ?? now)
    const idleForMs = idlest ? now - idlest.sinceMs : 0
    const hasMemory = serving.length === 0 || this.#options.hasMemory()
    switch (sizeStep({ min, max, serving: serving.length, coming, pressedForMs, idleForMs, idleTimeoutMs, hasMemory })) {
      case 'grow':
        this.#pressedSinceMs = undefined
        this.#options.grow(slots.find(({ isEmpty }) => isEmpty)!)
        break
      case 'shrink':
        this.#idle.delete(idlest!.slot)
        this.#options.shrink(idlest!.slot)
        break
      case 'keep':
        break
    }
    this.#plan(now, waits)
  }

  #plan(now: number, waits: boolean): void {
    if (this.#isStopped) return
    const { slots, minWorkers, maxWorkers, idleTimeoutMs } = this.#options
    const there = slots.filter(({ isEmpty }) => !isEmpty)
    const isBusy = waits || slots.some(({ worker }) => worker && worker.inFlight > 0)
    let nextMs: number | undefined
    if (isBusy || there.some(({ isComing }) => isComing)) nextMs = there.length < maxWorkers ? LOOK_GROWING_MS : LOOK_BUSY_MS
    else if (there.length > minWorkers) {
      const oldest = this.#idlest(there, now)
      nextMs = Math.max(1, Math.ceil((oldest?.sinceMs ?? now) + idleTimeoutMs - now))
    }
    if (nextMs !== undefined) this.#timer = setTimeout(() => this.#step(), nextMs)
  }

  /** The worker that has been idle longest; of equals the last one, because events go to the first. */
  #idlest(serving: readonly WorkerSlot[], now: number): { readonly slot: WorkerSlot; readonly sinceMs: number } | undefined {
    let idlest: { slot: WorkerSlot; sinceMs: number } | undefined
    for (const slot of serving) {
      const seen = this.#idle.get(slot)
      const { inFlight = 0, isKeepingEvents = false } = slot.worker ?? {}
      if (!seen || seen.offers !== slot.offers || inFlight > 0 || isKeepingEvents) {
        this.#idle.set(slot, { offers: slot.offers, sinceMs: now })
        continue
      }
      if (!idlest || seen.sinceMs <= idlest.sinceMs) idlest = { slot, sinceMs: seen.sinceMs }
    }
    return idlest
  }
}

/** A worker that handles one event after the other is full when a second one waits in it; others at their capacity, when more wait. */
function isFull(
  { inFlight, capacity, isSequential }: { inFlight: number; capacity: number; isSequential: boolean },
  waits: boolean,
): boolean {
  return isSequential && capacity > 1 ? inFlight > 1 : inFlight >= capacity && waits
}

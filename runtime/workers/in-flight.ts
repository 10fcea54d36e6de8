import { realTimers, type Timers } from '../base/timers.ts'
import type { Delivery } from '../dispatch/delivery.ts'

/**
 * The events a worker holds, oldest first, with one exact timer for all of them.
 *
 * A sequential worker (one handler call at a time) starts its next event when it answered the one before: only the oldest is
 * running, since then. A concurrent one runs all it has, each since it was given.
 */
export class InFlight {
  readonly #deliveries = new Map<number, Delivery>()
  readonly #timeoutMs: number
  readonly #onTimeout: (late: Delivery, ticket: number) => void
  #sequential = false
  #lastAnswerMs = 0
  #timer: NodeJS.Timeout | undefined
  readonly #timers: Timers

  constructor(timeoutMs: number, onTimeout: (late: Delivery, ticket: number) => void, timers = realTimers) {
    this.#timeoutMs = timeoutMs
    this.#onTimeout = onTimeout
    this.#timers = timers
  }

  get isSequential(): boolean {
    return this.#sequential
  }

  set isSequential(value: boolean) {
    this.#sequential = value
  }

  forEach(visit: (delivery: Delivery) => void): void {
    for (const delivery of this.#deliveries.values()) visit(delivery)
  }

  get size(): number {
    return this.#deliveries.size
  }

  add(ticket: number, delivery: Delivery): void {
    delivery.sinceMs = this.#timers.now()
    this.#deliveries.set(ticket, delivery)
    this.#timer ??= this.#timers.set(this.#check, this.#timeoutMs)
  }

  get(ticket: number): Delivery | undefined {
    return this.#deliveries.get(ticket)
  }

  /** The event was answered. */
  remove(ticket: number): void {
    this.#deliveries.delete(ticket)
    if (this.#sequential) this.#lastAnswerMs = this.#timers.now()
  }

  /** It goes on: its time counts anew. */
  touch(ticket: number): void {
    const delivery = this.#deliveries.get(ticket)
    if (!delivery) return
    const nowMs = this.#timers.now()
    if (this.#sequential) this.#lastAnswerMs = nowMs
    else {
      delivery.sinceMs = nowMs
      this.#deliveries.delete(ticket)
      this.#deliveries.set(ticket, delivery)
    }
  }

  /** After a time-out of one event that did not end the worker: watches the others. */
  rearm(): void {
    if (this.#deliveries.size > 0 && this.#timer === undefined) this.#check()
  }

  /** Empties it: which of the events were running (to blame for a crash), and which had not been started. */
  takeAll(): { running: Delivery[]; unstarted: Delivery[] } {
    this.#timers.clear(this.#timer)
    this.#timer = undefined
    const all = [...this.#deliveries.values()]
    this.#deliveries.clear()
    if (!this.#sequential || all.length === 0) return { running: all, unstarted: [] }
    // One event runs, or all of its batch.
    const { batch } = all[0]!
    const firstUnstarted = batch === 0 ? 1 : all.findIndex((delivery) => delivery.batch !== batch)
    const count = firstUnstarted === -1 ? all.length : firstUnstarted
    return { running: all.slice(0, count), unstarted: all.slice(count) }
  }

  /** The timer is not moved on each event: when it fires it looks at the oldest and sleeps for what is left. */
  readonly #check = (): void => {
    this.#timer = undefined
    const [ticket, oldest] = this.#deliveries.entries().next().value ?? []
    if (ticket === undefined || !oldest) return
    const since = this.#sequential ? Math.max(oldest.sinceMs, this.#lastAnswerMs) : oldest.sinceMs
    const leftMs = since + this.#timeoutMs - this.#timers.now()
    if (leftMs > 0.5) this.#timer = this.#timers.set(this.#check, Math.ceil(leftMs))
    else this.#onTimeout(oldest, ticket)
  }
}

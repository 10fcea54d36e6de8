import { realTimers, type Timers } from '../base/timers.ts'
import type { Delivery } from './delivery.ts'

/** Events of one pipeline that were answered and not acknowledged, at the most; beyond, no new event is started. */
const UNACKNOWLEDGED_MAX = 1_024
/** They and what they asked for, in memory; beyond, no new event is started either. */
const UNACKNOWLEDGED_BYTES_MAX = 32 * 1024 * 1024

/**
 * Events that were answered and wait for their explicit acknowledgement, oldest first, with one exact timer for all of them, and none
 * while there are none.
 */
export class Unacknowledged {
  readonly #waiting = new Map<Delivery, { readonly result: Buffer; readonly sinceMs: number; readonly bytes: number }>()
  #bytes = 0
  readonly #onTimeout: (delivery: Delivery) => void
  readonly #timers: Timers
  #timeoutMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(onTimeout: (delivery: Delivery) => void, timers = realTimers) {
    this.#onTimeout = onTimeout
    this.#timers = timers
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Whether one more event may be started, beside `started` that may become unacknowledged too. */
  hasRoom(started: number): boolean {
    return this.#waiting.size + started < UNACKNOWLEDGED_MAX && this.#bytes < UNACKNOWLEDGED_BYTES_MAX
  }

  set timeoutMs(value: number) {
    this.#timeoutMs = value
  }

  add(delivery: Delivery, result: Buffer): void {
    const bytes = delivery.operations.reduce((sum, { length }) => sum + length, delivery.record.length + result.length)
    this.#bytes += bytes
    this.#waiting.set(delivery, { result, sinceMs: this.#timers.now(), bytes })
    this.#timer ??= this.#timers.set(this.#check, this.#timeoutMs)
  }

  /** The acknowledgement came: the event's answer; undefined: it does not wait for one. */
  take(delivery: Delivery): Buffer | undefined {
    const found = this.#waiting.get(delivery)
    if (!found) return undefined
    this.#waiting.delete(delivery)
    this.#bytes -= found.bytes
    delivery.forget = null
    if (this.#waiting.size === 0) this.close()
    return found.result
  }

  close(): void {
    this.#timers.clear(this.#timer)
    this.#timer = undefined
  }

  readonly #check = (): void => {
    this.#timer = undefined
    const nowMs = this.#timers.now()
    for (const [delivery, { sinceMs }] of this.#waiting) {
      const leftMs = sinceMs + this.#timeoutMs - nowMs
      if (leftMs > 0.5) {
        this.#timer ??= this.#timers.set(this.#check, Math.ceil(leftMs))
        return
      }
      const { forget } = delivery
      this.take(delivery)
      forget?.()
      this.#onTimeout(delivery)
    }
  }
}

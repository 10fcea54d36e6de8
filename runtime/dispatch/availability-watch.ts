import type { Delivery } from './delivery.ts'
import type { KeyLanes } from './key-lanes.ts'

export interface AvailabilityWatchOptions {
  readonly lanes: KeyLanes
  /** How long a direct event waits for a worker. */
  readonly limitMs: () => number
  /** A direct event has waited longer than that; it is not in the lanes any more. */
  readonly onLate: (delivery: Delivery, limitMs: number) => void
}

/** Direct events that wait too long for a free worker. One timer, and only while such an event is next in line. */
export class AvailabilityWatch {
  readonly #options: AvailabilityWatchOptions
  #timer: NodeJS.Timeout | undefined

  constructor(options: AvailabilityWatchOptions) {
    this.#options = options
  }

  /** A direct event was queued. */
  start(): void {
    if (!this.#timer) this.#arm(this.#options.limitMs())
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#look(), ms)
  }

  #look(): void {
    this.#timer = undefined
    const { lanes, onLate } = this.#options
    const limitMs = this.#options.limitMs()
    const now = performance.now()
    const isLate = (delivery: Delivery | undefined) => delivery?.inboxId === 0 && delivery.sinceMs + limitMs <= now
    while (isLate(lanes.peek())) {
      const late = lanes.take()
      if (!late) break
      onLate(late, limitMs)
    }
    const next = lanes.peek()
    if (next?.inboxId === 0) this.#arm(Math.max(1, next.sinceMs + limitMs - now))
  }
}

import type { RecordView } from '../shared-memory/channel.ts'
import { addressOf, ownMemory, SpareMemory } from './memory.ts'

/** An event that has been read out of the ring and waits for the library, at an address that stays until it is handled. */
export interface WaitingEvent {
  readonly ticket: number
  readonly status: number
  readonly attempt: number
  readonly hasMore: boolean
  readonly address: number
  /** Of its own, where nothing else had room. */
  readonly memory: Buffer | null
}

/** One burst of events lies in it side by side. */
const ARENA_BYTES = 1 << 20
/** A quarter of the ring: what has its body in the ring is not larger. */
const RECORD_BYTES = 256 << 10

/**
 * Where events lie while the library looks at them. The arena is used from its start again as soon as nothing waits, so a worker
 * that keeps up touches only its first pages; when it is full, the next events wait in the ring.
 */
export class EventMemory {
  readonly #arena = ownMemory(ARENA_BYTES)
  readonly #address = addressOf(this.#arena)
  readonly #large = new SpareMemory()
  #next = 0
  #isLargeUsed = false

  /** What comes next would need memory of its own. */
  get isFull(): boolean {
    return this.#isLargeUsed || ARENA_BYTES - this.#next < RECORD_BYTES
  }

  keep(view: RecordView, batchMore: number): WaitingEvent {
    const { ticket, status, attempt, size } = view
    const hasMore = (view.flags & batchMore) !== 0
    if (size > ARENA_BYTES - this.#next) {
      const memory = this.#isLargeUsed ? ownMemory(size) : this.#large.take(size)
      this.#isLargeUsed = true
      view.copyTo(memory, 0)
      return { ticket, status, attempt, hasMore, address: addressOf(memory), memory }
    }
    const at = this.#next
    this.#next += view.copyTo(this.#arena, at)
    return { ticket, status, attempt, hasMore, address: this.#address + at, memory: null }
  }

  /** Nothing that was kept is looked at any more. */
  reset(): void {
    this.#next = 0
    this.#isLargeUsed = false
  }
}

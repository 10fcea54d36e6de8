import { AT, Kind } from '../event/record.ts'
import type { Delivery } from './delivery.ts'

/** In the low byte of an EVENT's status: forget what you remember of the state (docs/ring.md). */
const FORGET_STATE = 1
/** After a failure so many events are at the worker at once, doubled after each so many good ones, until there is no limit again. */
const AFTER_FAILURE = 8
const GOOD_TO_GROW = 64
const FULL = 1_024

/**
 * A single worker that handles one event after the other gets events ahead of the answers to those before them, also of one key.
 * When one fails, what went ahead of it wrongly is made void: its outcome is thrown away, and it is handled again in its turn.
 *
 * - Later events of the failed one's key must come after it.
 * - When state was written that will not be kept, every later event may have read it, and the worker must forget it.
 */
export class RunAhead {
  #max = Infinity
  #good = 0
  #mustForget = false

  /** Events that may be at the worker at once: few after a failure, because what is ahead of the next one is handled twice. */
  get max(): number {
    return this.#max
  }

  /** Marks the next event that is given to the worker, when it has to forget. */
  mark(next: Delivery): void {
    if (this.#mustForget) next.record[AT.status] = FORGET_STATE
  }

  given(): void {
    this.#mustForget = false
  }

  good(): void {
    if (this.#max === Infinity || ++this.#good < GOOD_TO_GROW) return
    this.#good = 0
    this.#max = this.#max * 2 > FULL ? Infinity : this.#max * 2
  }

  /** `forEachAhead` visits all events that went to the worker after it and are not settled. */
  failed(delivery: Delivery, forEachAhead: (visit: (ahead: Delivery) => void) => void): void {
    this.#max = AFTER_FAILURE
    this.#good = 0
    const everything = this.#forgets(delivery)
    forEachAhead((ahead) => {
      if (everything || (ahead.key === delivery.key && ahead.key !== '')) ahead.isVoid = true
    })
  }

  /** A void event's outcome came and is thrown away. */
  takenBack(delivery: Delivery, forEachAhead: (visit: (ahead: Delivery) => void) => void): void {
    delivery.isVoid = false
    if (!this.#forgets(delivery)) return
    forEachAhead((ahead) => {
      ahead.isVoid = true
    })
  }

  #forgets(delivery: Delivery): boolean {
    const wroteState = delivery.operations.some(
      (operation) => operation[AT.kind] === Kind.stateSet || operation[AT.kind] === Kind.stateDelete,
    )
    if (wroteState) this.#mustForget = true
    return wroteState
  }
}

import type { Delivery } from './delivery.ts'

/**
 * Events in order per key, in parallel across keys. A key whose event is being handled (or waits for a retry) holds back its
 * own later events and nobody else's. The empty key means "no order": such events never wait for each other.
 */
export class KeyLanes {
  /** Keys with an event being handled (or waiting for its next try); null: nothing waits behind it. */
  readonly #busy = new Map<string, Queue | null>()
  readonly #ready = new Queue()
  #size = 0

  /** Events held here: waiting ones, and those that were taken and not yet released. */
  get size(): number {
    return this.#size
  }

  get readyCount(): number {
    return this.#ready.length
  }

  push(delivery: Delivery): void {
    this.#size++
    if (delivery.key === '') return this.#ready.push(delivery)
    const behind = this.#busy.get(delivery.key)
    if (behind === undefined) {
      this.#busy.set(delivery.key, null)
      this.#ready.push(delivery)
    } else if (behind === null) {
      const queue = new Queue()
      queue.push(delivery)
      this.#busy.set(delivery.key, queue)
    } else behind.push(delivery)
  }

  /** The next event that may be handled now; its key is busy until `release`. */
  take(): Delivery | undefined {
    return this.#ready.shift()
  }

  /** Puts a taken event back at the front (no worker could take it). */
  untake(delivery: Delivery): void {
    this.#ready.unshift(delivery)
  }

  /** The event ended: the next of its key becomes ready. */
  release(delivery: Delivery): void {
    this.#size--
    if (delivery.key === '') return
    const next = this.#busy.get(delivery.key)?.shift()
    if (next) this.#ready.push(next)
    else this.#busy.delete(delivery.key)
  }

  /** The oldest ready event, without taking it. */
  peek(): Delivery | undefined {
    return this.#ready.peek()
  }
}

/** A FIFO over one array that gives memory back: shift is O(1) amortised. */
class Queue {
  #items: (Delivery | undefined)[] = []
  #first = 0

  get length(): number {
    return this.#items.length - this.#first
  }

  push(delivery: Delivery): void {
    this.#items.push(delivery)
  }

  unshift(delivery: Delivery): void {
    if (this.#first > 0) this.#items[--this.#first] = delivery
    else this.#items.unshift(delivery)
  }

  peek(): Delivery | undefined {
    return this.#items[this.#first]
  }

  shift(): Delivery | undefined {
    if (this.#first === this.#items.length) return undefined
    const delivery = this.#items[this.#first]
    this.#items[this.#first++] = undefined
    if (this.#first === this.#items.length) {
      this.#items.length = 0
      this.#first = 0
    } else if (this.#first > 1024 && this.#first * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#first)
      this.#first = 0
    }
    return delivery
  }
}

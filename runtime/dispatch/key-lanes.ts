import type { Delivery } from './delivery.ts'

/**
 * Events in order per key, in parallel across keys. The empty key means "no order": such events never wait for each other.
 *
 * Two ways to keep the order:
 * - lanes (workers that do many things at once): a key whose event is being handled holds back its own later events.
 * - run-ahead (one worker that handles one event after the other): events go in the order they came, also those of one key; the
 *   worker keeps the order. What was taken ahead of an event that fails is given back with `putBack`.
 *
 * In both, a key whose event waits for its next try is *held*: its later events wait, and nobody else's.
 */
export class KeyLanes {
  /** Lanes only: keys with an event being handled or held; null: nothing waits behind it. */
  #busy = new Map<string, Queue | null>()
  #ready = new Queue()
  /** Who holds a key, and (run-ahead) what has come to its turn since. */
  readonly #held = new Map<string, { readonly holder: Delivery; readonly parked: Delivery[] }>()
  #isRunAhead = false
  #size = 0
  #nextOrder = 1

  /** Events here: waiting ones, and those that were taken and not yet released. */
  get size(): number {
    return this.#size
  }

  get readyCount(): number {
    return this.#ready.length
  }

  get isRunAhead(): boolean {
    return this.#isRunAhead
  }

  /** Changes the way. Only while nothing that was taken is being handled. */
  set isRunAhead(value: boolean) {
    if (value === this.#isRunAhead) return
    const waiting = [...this.#ready]
    for (const behind of this.#busy.values()) if (behind) waiting.push(...behind)
    for (const { parked } of this.#held.values()) waiting.push(...parked.splice(0))
    this.#isRunAhead = value
    this.#ready = new Queue()
    this.#busy = new Map()
    if (!value) for (const key of this.#held.keys()) this.#busy.set(key, null)
    for (const delivery of waiting.sort((a, b) => a.order - b.order)) this.#line(delivery)
  }

  push(delivery: Delivery): void {
    this.#size++
    delivery.order = this.#nextOrder++
    this.#line(delivery)
  }

  /** The next event that may be handled now. */
  take(): Delivery | undefined {
    for (;;) {
      const delivery = this.#ready.shift()
      if (!delivery || !this.#isRunAhead || this.#held.size === 0) return delivery
      const held = this.#held.get(delivery.key)
      if (!held || held.holder === delivery) return delivery
      held.parked.push(delivery)
    }
  }

  /** Puts a taken event back at the front: no worker could take it, or its next try has come. */
  untake(delivery: Delivery): void {
    this.#ready.unshift(delivery)
  }

  /** Puts a taken event back where it was among the others. */
  putBack(delivery: Delivery): void {
    this.#ready.insert(delivery)
  }

  /** The event failed and will be tried again: its key waits until it is released. */
  hold(delivery: Delivery): void {
    if (delivery.key !== '' && !this.#held.has(delivery.key)) this.#held.set(delivery.key, { holder: delivery, parked: [] })
  }

  /** The event ended: the next of its key becomes ready. */
  release(delivery: Delivery): void {
    this.#size--
    if (delivery.key === '') return
    if (this.#held.size > 0) this.#letGo(delivery)
    if (this.#isRunAhead) return
    const next = this.#busy.get(delivery.key)?.shift()
    if (next) this.#ready.push(next)
    else this.#busy.delete(delivery.key)
  }

  /** The oldest ready event, without taking it. */
  peek(): Delivery | undefined {
    return this.#ready.peek()
  }

  #line(delivery: Delivery): void {
    if (this.#isRunAhead || delivery.key === '') return this.#ready.push(delivery)
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

  #letGo(delivery: Delivery): void {
    const held = this.#held.get(delivery.key)
    if (held?.holder !== delivery) return
    this.#held.delete(delivery.key)
    for (const parked of held.parked.sort((a, b) => b.order - a.order)) this.#ready.unshift(parked)
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

  /** Puts one back among those that came before and after it. The ones before it, if any, are at the front. */
  insert(delivery: Delivery): void {
    let at = this.#first
    while (at < this.#items.length && this.#items[at]!.order < delivery.order) at++
    this.#items.splice(at, 0, delivery)
  }

  *[Symbol.iterator](): Generator<Delivery> {
    for (let at = this.#first; at < this.#items.length; at++) yield this.#items[at]!
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

import type { Delivery } from './delivery.ts'

/** How the order is kept; see KeyLanes. */
export type Way = 'lanes' | 'runAhead' | 'batches'

/** A long line of one key is not gone through for each batch; what is behind it comes in its turn. */
const PARKED_AT_ONCE_MAX = 256

/** A key that lets nothing more through, and what has come to its turn since. */
interface Gate {
  /** Its next try is waited for; only itself may pass. */
  holder: Delivery | null
  /** Batches only: events of this key that a worker has. */
  running: number
  readonly parked: Delivery[]
}

/**
 * Events in order per key, in parallel across keys. The empty key means "no order": such events never wait for each other.
 *
 * Three ways to keep the order:
 * - lanes (workers that do many things at once): a key whose event is being handled holds back its own later events.
 * - runAhead (one worker that handles one event after the other): events go in the order they came, also those of one key; the
 *   worker keeps the order. What was taken ahead of an event that fails is given back with `putBack`.
 * - batches: events are taken in the order they came, several of a key into one batch; a key with events at a worker (`given`) holds
 *   back its later ones until all of them have ended or were put back.
 *
 * In all, a key whose event waits for its next try is *held*: its later events wait, and nobody else's.
 */
export class KeyLanes {
  /** Lanes only: keys with an event being handled or held; null: nothing waits behind it. */
  #busy = new Map<string, Queue | null>()
  #ready = new Queue()
  readonly #gates = new Map<string, Gate>()
  #way: Way = 'lanes'
  #size = 0
  #nextOrder = 1

  /** Events here: waiting ones, and those that were taken and not yet released. */
  get size(): number {
    return this.#size
  }

  get readyCount(): number {
    return this.#ready.length
  }

  get way(): Way {
    return this.#way
  }

  /** Changes the way. Only while nothing that was taken is being handled. */
  set way(value: Way) {
    if (value === this.#way) return
    const waiting = [...this.#ready]
    for (const behind of this.#busy.values()) if (behind) waiting.push(...behind)
    for (const { parked } of this.#gates.values()) waiting.push(...parked.splice(0))
    this.#way = value
    this.#ready = new Queue()
    this.#busy = new Map()
    if (value === 'lanes') for (const key of this.#gates.keys()) this.#busy.set(key, null)
    for (const delivery of waiting.sort((a, b) => a.order - b.order)) this.#line(delivery)
  }

  push(delivery: Delivery): void {
    this.#size++
    delivery.order = this.#nextOrder++
    this.#line(delivery)
  }

  /** The next event that may be handled now. */
  take(): Delivery | undefined {
    for (let parked = 0; parked < PARKED_AT_ONCE_MAX;) {
      const delivery = this.#ready.shift()
      if (!delivery || this.#way === 'lanes' || this.#gates.size === 0) return delivery
      const gate = this.#gates.get(delivery.key)
      if (!gate || gate.holder === delivery) return delivery
      gate.parked.push(delivery)
      // Its answers come soon, and then the next batch is gathered.
      if (gate.running > 0) parked++
    }
    return undefined
  }

  /** Puts a taken event back at the front: no worker could take it, or its next try has come. */
  untake(delivery: Delivery): void {
    this.#ready.unshift(delivery)
  }

  /** Batches: a taken event is at a worker now. */
  given(delivery: Delivery): void {
    if (delivery.key === '') return
    this.#gate(delivery.key).running++
    delivery.isAtWorker = true
  }

  /** Puts a taken event back where it was among the others. */
  putBack(delivery: Delivery): void {
    if (this.#way === 'batches') this.#returned(delivery)
    this.#ready.insert(delivery)
  }

  /** The event failed and will be tried again: its key waits until it is released. */
  hold(delivery: Delivery): void {
    if (delivery.key === '') return
    const gate = this.#gate(delivery.key)
    gate.holder ??= delivery
    if (this.#way === 'batches') this.#returned(delivery)
  }

  /** The event ended: the next of its key becomes ready. */
  release(delivery: Delivery): void {
    this.#size--
    if (delivery.key === '') return
    if (this.#gates.size > 0) this.#letGo(delivery)
    if (this.#way !== 'lanes') return
    const next = this.#busy.get(delivery.key)?.shift()
    if (next) this.#ready.push(next)
    else this.#busy.delete(delivery.key)
  }

  /** The oldest ready event, without taking it. */
  peek(): Delivery | undefined {
    return this.#ready.peek()
  }

  #line(delivery: Delivery): void {
    if (this.#way !== 'lanes' || delivery.key === '') return this.#ready.push(delivery)
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

  #gate(key: string): Gate {
    let gate = this.#gates.get(key)
    if (!gate) this.#gates.set(key, (gate = { holder: null, running: 0, parked: [] }))
    return gate
  }

  #letGo(delivery: Delivery): void {
    const gate = this.#gates.get(delivery.key)
    if (!gate) return
    if (gate.holder === delivery) gate.holder = null
    if (this.#way === 'batches') this.#returned(delivery)
    else this.#openGate(delivery.key, gate)
  }

  /** Batches: the event is not at a worker any more. One that never was (a caller that waited too long) changes nothing. */
  #returned(delivery: Delivery): void {
    const gate = this.#gates.get(delivery.key)
    if (!gate) return
    if (delivery.isAtWorker) gate.running--
    delivery.isAtWorker = false
    this.#openGate(delivery.key, gate)
  }

  #openGate(key: string, gate: Gate): void {
    if (gate.holder !== null || gate.running > 0) return
    this.#gates.delete(key)
    // Last first: each goes before the one that was put back before it.
    for (const parked of gate.parked.sort((a, b) => b.order - a.order)) this.#ready.insert(parked)
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
    if (at === this.#first) this.unshift(delivery)
    else this.#items.splice(at, 0, delivery)
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

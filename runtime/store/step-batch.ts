/**
 * The binary form of steps between the client and the store thread. One batch is one buffer and one transaction; it is
 * transferred, never copied, and comes back with each entry's outcome and value written into the entry itself.
 *
 *   entry, 8-byte aligned, little-endian:
 *    0 u32 size, padding included     4 u8 op     5 u8 outcome (written by the thread)
 *    8 f64 value: inbox id, dead letter, first seq, target source     16 f64 second: last seq, rows at the most
 *   24 f64 result (written by the thread): inbox id, rows
 *   32 u32 number: source, stream or function         36 u32 attempt
 *   40 u32 key bytes      44 u32 payload bytes        48 key, payload, padding
 *
 * The thread writes nothing that it reads, so a batch that was rolled back can be run again.
 *
 * A step that ends an event is the run begin, (emit | setState | deleteState)*, end; its outcome is in the `end` entry.
 */
export const ENTRY_BYTES = 48

export const Op = {
  accept: 1,
  begin: 2,
  emit: 3,
  setState: 4,
  deleteState: 5,
  end: 6,
  retryLater: 7,
  bury: 8,
  release: 9,
  setValue: 10,
  deleteValue: 11,
  replay: 12,
  move: 13,
} as const
export type Op = (typeof Op)[keyof typeof Op]

export const Outcome = {
  done: 0,
  /** The row was gone already: nothing was changed. */
  unchanged: 1,
  streamFull: 2,
  storeFull: 3,
  storeBusy: 4,
  /** A number that the store never gave out. */
  invalid: 5,
} as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

const FIRST_BYTES = 64 * 1024
const NOTHING = new Uint8Array(0)

/** Gathers entries. `take` hands the buffer over; `reuse` gives one back. */
export class StepWriter {
  #bytes: Buffer
  #view: DataView
  used = 0
  /** Where an unfinished step begins, or -1. */
  openAt = -1

  constructor(buffer: ArrayBuffer = new ArrayBuffer(FIRST_BYTES)) {
    this.#bytes = Buffer.from(buffer)
    this.#view = new DataView(buffer)
  }

  put(op: Op, number: number, value: number, second: number, attempt: number, key: Uint8Array | null, payload: Uint8Array | null): void {
    const keyLength = key === null ? 0 : key.length
    const payloadLength = payload === null ? 0 : payload.length
    const size = (ENTRY_BYTES + keyLength + payloadLength + 7) & ~7
    if (this.used + size > this.#bytes.length) this.#grow(this.used + size)
    const at = this.used
    const view = this.#view
    view.setUint32(at, size, true)
    view.setUint32(at + 4, op, true)
    view.setFloat64(at + 8, value, true)
    view.setFloat64(at + 16, second, true)
    view.setUint32(at + 32, number, true)
    view.setUint32(at + 36, attempt, true)
    view.setUint32(at + 40, keyLength, true)
    view.setUint32(at + 44, payloadLength, true)
    if (keyLength > 0) this.#bytes.set(key!, at + ENTRY_BYTES)
    if (payloadLength > 0) this.#bytes.set(payload!, at + ENTRY_BYTES + keyLength)
    this.used = at + size
  }

  /** Takes back a step that was begun and never ended; true when there was one. */
  dropOpenStep(): boolean {
    if (this.openAt < 0) return false
    this.used = this.openAt
    this.openAt = -1
    return true
  }

  take(): ArrayBuffer {
    return this.#bytes.buffer as ArrayBuffer
  }

  #grow(needed: number): void {
    let capacity = this.#bytes.length
    while (capacity < needed) capacity *= 2
    const larger = Buffer.from(new ArrayBuffer(capacity))
    larger.set(this.#bytes.subarray(0, this.used))
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }
}

/** Walks a batch: `next()` moves to the following entry and says whether there is one. */
export class StepReader {
  readonly bytes: Buffer
  readonly view: DataView
  readonly used: number
  readonly #from: number
  at = -1
  #after: number

  constructor(buffer: ArrayBuffer, used: number, from = 0) {
    this.bytes = Buffer.from(buffer, 0, used)
    this.view = new DataView(buffer)
    this.used = used
    this.#from = from
    this.#after = from
  }

  rewind(): void {
    this.#after = this.#from
  }

  /** A reader of the entries from `from` to the current one. */
  part(from: number): StepReader {
    return new StepReader(this.bytes.buffer as ArrayBuffer, this.#after, from)
  }

  next(): boolean {
    if (this.#after >= this.used) return false
    this.at = this.#after
    this.#after += this.view.getUint32(this.at, true)
    return true
  }

  /** The entry at `at` becomes the current one. */
  moveTo(at: number): void {
    this.at = at
    this.#after = at + this.view.getUint32(at, true)
  }

  get op(): number {
    return this.bytes[this.at + 4]!
  }
  get outcome(): number {
    return this.bytes[this.at + 5]!
  }
  get value(): number {
    return this.view.getFloat64(this.at + 8, true)
  }
  get second(): number {
    return this.view.getFloat64(this.at + 16, true)
  }
  get result(): number {
    return this.view.getFloat64(this.at + 24, true)
  }
  get number(): number {
    return this.view.getUint32(this.at + 32, true)
  }
  get attempt(): number {
    return this.view.getUint32(this.at + 36, true)
  }
  get payloadLength(): number {
    return this.view.getUint32(this.at + 44, true)
  }
  get key(): string {
    const from = this.at + ENTRY_BYTES
    return this.bytes.toString('utf8', from, from + this.view.getUint32(this.at + 40, true))
  }
  get payload(): Uint8Array {
    const length = this.payloadLength
    if (length === 0) return NOTHING
    return new Uint8Array(this.bytes.buffer, this.at + ENTRY_BYTES + this.view.getUint32(this.at + 40, true), length)
  }

  answer(outcome: Outcome, result: number): void {
    this.bytes[this.at + 5] = outcome
    this.view.setFloat64(this.at + 24, result, true)
  }
}

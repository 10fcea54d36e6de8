import { ProtocolError } from '../base/errors.ts'
import { AT, RECORD_HEADER_BYTES, recordSize } from '../event/record.ts'
import type { RingPlace } from './layout.ts'

/**
 * The producing end of one ring. It trusts only its own index: the consumer's is read from shared memory, so it is checked each time
 * and a value that cannot be breaks the ring (ProtocolError) instead of moving a write outside of it.
 */
export class RingWriter {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #place: RingPlace
  readonly #firstWord: number
  /** Where the next byte goes, counted modulo 2^32. */
  #next: number
  /** The consumer's index as last read; real room is never less than what follows from it. */
  #consumed: number
  /** Bytes that the last failed reservation needed; 0: none failed. */
  #wanted = 0

  constructor(memory: ArrayBufferLike, place: RingPlace) {
    this.#words = new Int32Array(memory)
    this.#bytes = new Uint8Array(memory, place.dataAt, place.capacity)
    this.#place = place
    this.#firstWord = place.dataAt >>> 2
    this.#next = Atomics.load(this.#words, place.producer) >>> 0
    this.#consumed = this.#next
  }

  /** Copies one record in and publishes it. False: no room now; the consumer has been asked for a doorbell. */
  write(header: Uint8Array, head: Uint8Array | null, body: Uint8Array | null): boolean {
    const headLength = head === null ? 0 : head.length
    const bodyLength = body === null ? 0 : body.length
    const size = recordSize(headLength, bodyLength)
    if (!this.#reserve(size)) return false
    const at = this.#next & (this.#place.capacity - 1)
    const bytes = this.#bytes
    bytes.set(header, at)
    const word = this.#firstWord + (at >>> 2)
    this.#words[word + (AT.headLength >>> 2)] = headLength
    this.#words[word + (AT.bodyLength >>> 2)] = bodyLength
    if (head !== null && headLength > 0) bytes.set(head, at + RECORD_HEADER_BYTES)
    const end = at + RECORD_HEADER_BYTES + headLength + bodyLength
    if (body !== null && bodyLength > 0) bytes.set(body, end - bodyLength)
    this.#publish(at, size, end)
    return true
  }

  /** Copies a whole record (header, head, body) in with its ticket and attempt replaced. */
  writeRecord(record: Uint8Array, size: number, ticket: number, attempt: number): boolean {
    if (!this.#reserve(size)) return false
    const at = this.#next & (this.#place.capacity - 1)
    this.#bytes.set(record, at)
    const word = this.#firstWord + (at >>> 2)
    this.#words[word + (AT.ticket >>> 2)] = ticket | 0
    this.#words[word + (AT.ticket >>> 2) + 1] = Math.floor(ticket / 0x1_0000_0000)
    this.#bytes[at + AT.attempt] = attempt & 0xff
    this.#bytes[at + AT.attempt + 1] = (attempt >>> 8) & 0xff
    this.#publish(at, size, at + record.length)
    return true
  }

  /** True when the consumer has flagged that it sleeps; the flag is taken, so the caller must ring. */
  takeSleeping(): boolean {
    if (Atomics.load(this.#words, this.#place.sleeping) !== 1) return false
    Atomics.store(this.#words, this.#place.sleeping, 0)
    return true
  }

  /** True once after a failed write, when what failed would fit. Asks for another doorbell while it does not. */
  takeRoom(): boolean {
    if (this.#wanted === 0 || !this.#hasRoom(this.#wanted)) return false
    this.#wanted = 0
    return true
  }

  /** True when a record of `size` fits now; false asks for a doorbell, as a failed write does. */
  canWrite(size: number): boolean {
    const tail = this.#tail()
    const needed = size <= tail ? size : tail + size
    if (needed <= this.#place.capacity - ((this.#next - this.#consumed) >>> 0) || this.#hasRoom(needed)) return true
    this.#wanted = needed
    return false
  }

  /** The consumer has read, and is done with, all that was written. */
  get isAllRead(): boolean {
    return this.#room() === this.#place.capacity
  }

  #tail(): number {
    return this.#place.capacity - (this.#next & (this.#place.capacity - 1))
  }

  #reserve(size: number): boolean {
    if (!this.canWrite(size)) return false
    const tail = this.#tail()
    if (size > tail) {
      const word = this.#firstWord + ((this.#next & (this.#place.capacity - 1)) >>> 2)
      this.#words[word] = tail
      this.#words[word + 1] = 0
      this.#next = (this.#next + tail) >>> 0
    }
    return true
  }

  #hasRoom(needed: number): boolean {
    if (needed <= this.#room()) return true
    // Flag first, look again after: the consumer publishes its index before it looks at the flag.
    Atomics.store(this.#words, this.#place.wantsRoom, 1)
    if (needed > this.#room()) return false
    Atomics.store(this.#words, this.#place.wantsRoom, 0)
    return true
  }

  #room(): number {
    const consumed = Atomics.load(this.#words, this.#place.consumer) >>> 0
    const used = (this.#next - consumed) >>> 0
    // The reader only ever advances: there is never more in use than when it was last looked at.
    if ((consumed & 7) !== 0 || used > (this.#next - this.#consumed) >>> 0) {
      throw new ProtocolError('ring-index', `Cannot write to the ring: the reader's index is ${consumed}, the writer's ${this.#next}`)
    }
    this.#consumed = consumed
    return this.#place.capacity - used
  }

  #publish(at: number, size: number, end: number): void {
    this.#words[this.#firstWord + (at >>> 2)] = size
    for (let i = end; i < at + size; i++) this.#bytes[i] = 0
    this.#next = (this.#next + size) >>> 0
    Atomics.store(this.#words, this.#place.producer, this.#next | 0)
  }
}

import { ProtocolError } from '../base/errors.ts'
import { AT, Kind, RECORD_HEADER_BYTES } from '../event/record.ts'
import type { RingPlace } from './layout.ts'
import type { RingRecordView } from './record-view.ts'

const KNOWN_KINDS: ReadonlySet<number> = new Set(Object.values(Kind).filter((kind) => kind !== Kind.wrap))

/**
 * The consuming end of one ring. Nothing in shared memory is believed: each number is read once, checked, and only then used.
 * A record that cannot be is a ProtocolError; after it nothing more may be read.
 */
export class RingReader {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  readonly #place: RingPlace
  readonly #firstWord: number
  #next: number
  /** The producer's index as last read. */
  #produced: number
  #published: number

  constructor(memory: ArrayBufferLike, place: RingPlace) {
    this.#words = new Int32Array(memory)
    this.#bytes = Buffer.from(memory as ArrayBuffer, place.dataAt, place.capacity)
    this.#place = place
    this.#firstWord = place.dataAt >>> 2
    this.#next = Atomics.load(this.#words, place.consumer) >>> 0
    this.#produced = this.#next
    this.#published = this.#next
  }

  /** Reads the next record's numbers into `view`; false when there is none. */
  next(view: RingRecordView): boolean {
    if (this.#next === this.#produced && !this.#look()) return false
    const { capacity } = this.#place
    let at = this.#next & (capacity - 1)
    let word = this.#firstWord + (at >>> 2)
    let size = this.#words[word]! >>> 0
    let marks = this.#words[word + 1]!
    if ((marks & 0xff) === Kind.wrap) {
      if (size !== capacity - at || size > this.#available()) throw this.#broken('wrap mark', size, at)
      this.#next = (this.#next + size) >>> 0
      if (this.#next === this.#produced && !this.#look()) return false
      at = 0
      word = this.#firstWord
      size = this.#words[word]! >>> 0
      marks = this.#words[word + 1]!
    }
    if (size < RECORD_HEADER_BYTES || (size & 7) !== 0 || size > this.#available() || size > capacity - at)
      throw this.#broken('size', size, at)
    const kind = marks & 0xff
    if (!KNOWN_KINDS.has(kind)) throw this.#broken('kind', kind, at)
    const headLength = this.#words[word + (AT.headLength >>> 2)]! >>> 0
    const bodyLength = this.#words[word + (AT.bodyLength >>> 2)]! >>> 0
    if (RECORD_HEADER_BYTES + headLength + bodyLength > size) throw this.#broken('length', headLength + bodyLength, at)
    const ticketHigh = this.#words[word + (AT.ticket >>> 2) + 1]! >>> 0
    if (ticketHigh > 0x1f_ffff) throw this.#broken('ticket', ticketHigh, at)
    const sources = this.#words[word + (AT.source >>> 2)]!
    view.kind = kind
    view.flags = (marks >>> 8) & 0xff
    view.status = marks >>> 16
    view.ticket = (this.#words[word + (AT.ticket >>> 2)]! >>> 0) + ticketHigh * 0x1_0000_0000
    view.source = sources & 0xffff
    view.attempt = sources >>> 16
    view.headLength = headLength
    view.bodyLength = bodyLength
    view.size = size
    view.place(this.#bytes, at)
    this.#next = (this.#next + size) >>> 0
    return true
  }

  /** Gives the room of everything read back to the producer. True: it waits for room and must be rung. */
  release(): boolean {
    if (this.#published === this.#next) return false
    this.#published = this.#next
    Atomics.store(this.#words, this.#place.consumer, this.#next | 0)
    if (Atomics.load(this.#words, this.#place.wantsRoom) !== 1) return false
    // Not for the first free byte: half a ring is worth a wake-up, and holds the largest record.
    const used = (Atomics.load(this.#words, this.#place.producer) - this.#next) >>> 0
    if (used > this.#place.capacity >>> 1) return false
    Atomics.store(this.#words, this.#place.wantsRoom, 0)
    return true
  }

  /** Bytes read and not yet given back. */
  get held(): number {
    return (this.#next - this.#published) >>> 0
  }

  get isEmpty(): boolean {
    return this.#next === this.#produced && !this.#look()
  }

  /** Asks for a doorbell. False: something has come meanwhile and the flag is down again. */
  sleep(): boolean {
    Atomics.store(this.#words, this.#place.sleeping, 1)
    if (!this.#look()) return true
    this.wakeUp()
    return false
  }

  wakeUp(): void {
    Atomics.store(this.#words, this.#place.sleeping, 0)
  }

  #available(): number {
    return (this.#produced - this.#next) >>> 0
  }

  #look(): boolean {
    const produced = Atomics.load(this.#words, this.#place.producer) >>> 0
    const available = (produced - this.#next) >>> 0
    if (available > this.#place.capacity || (produced & 7) !== 0) throw this.#broken('index', produced, this.#next)
    this.#produced = produced
    return available > 0
  }

  #broken(what: string, value: number, at: number): ProtocolError {
    return new ProtocolError('ring-record', `Cannot read the ring at ${at}: ${what} is ${value}`)
  }
}

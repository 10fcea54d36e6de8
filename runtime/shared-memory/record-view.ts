import { AT, Flag, RECORD_HEADER_BYTES, recordSize } from '../event/record.ts'

/**
 * One record as its reader sees it: numbers copied out of the header once and checked, bytes made on demand.
 * `head` and `body` are views on memory that the peer may still change: their lengths hold, their content must be judged once copied.
 * `record` is a copy with the checked numbers in its header: what is stored is what was checked.
 * The object is used again for the next record.
 */
export interface RecordView {
  readonly kind: number
  readonly flags: number
  readonly status: number
  readonly ticket: number
  readonly source: number
  readonly attempt: number
  readonly headLength: number
  readonly bodyLength: number
  /** Bytes of the whole record with its padding. */
  readonly size: number
  readonly head: Buffer
  readonly body: Buffer
  readonly record: Buffer
  /** Copies the record as `record` does into `target` at `at`; returns its size. */
  copyTo(target: Buffer, at: number): number
}

export class RingRecordView implements RecordView {
  kind = 0
  flags = 0
  status = 0
  ticket = 0
  source = 0
  attempt = 0
  headLength = 0
  bodyLength = 0
  size = 0
  #ring: Buffer = EMPTY
  #at = 0
  /** A body that came outside of the ring. */
  #outside: Buffer | null = null

  place(ring: Buffer, at: number): void {
    this.#ring = ring
    this.#at = at
    this.#outside = null
  }

  /** Puts the body that came outside the ring in place of its reference. */
  attach(body: Buffer): void {
    this.#outside = body
    this.flags &= ~Flag.externalBody
    this.bodyLength = body.length
    this.size = recordSize(this.headLength, body.length)
  }

  get head(): Buffer {
    const from = this.#at + RECORD_HEADER_BYTES
    return this.#ring.subarray(from, from + this.headLength)
  }

  get body(): Buffer {
    if (this.#outside !== null) return this.#outside
    const from = this.#at + RECORD_HEADER_BYTES + this.headLength
    return this.#ring.subarray(from, from + this.bodyLength)
  }

  get record(): Buffer {
    const copy = Buffer.allocUnsafe(this.size)
    this.copyTo(copy, 0)
    return copy
  }

  copyTo(target: Buffer, at: number): number {
    const bodyAt = RECORD_HEADER_BYTES + this.headLength
    const end = bodyAt + this.bodyLength
    this.#ring.copy(target, at, this.#at, this.#at + (this.#outside === null ? end : bodyAt))
    this.#outside?.copy(target, at + bodyAt)
    target.fill(0, at + end, at + this.size)
    target.writeUInt32LE(this.size, at + AT.size)
    target[at + AT.kind] = this.kind
    target[at + AT.flags] = this.flags
    target.writeUInt32LE(this.headLength, at + AT.headLength)
    target.writeUInt32LE(this.bodyLength, at + AT.bodyLength)
    return this.size
  }
}

const EMPTY = Buffer.alloc(0)

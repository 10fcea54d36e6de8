import { BufferedFramer, type OnFrame } from './serial-framer.ts'

/** Frames end with a delimiter of one or more bytes. */
export class DelimiterFramer extends BufferedFramer {
  readonly #delimiter: Buffer
  readonly #includesDelimiter: boolean
  readonly #maxBytes: number
  /** The frame was too long: it is dropped up to its delimiter. */
  #isDropping = false
  /** Bytes of the delimiter that have been met at the end of what was seen. */
  #matched = 0

  constructor(delimiter: Buffer, includesDelimiter: boolean, maxBytes: number, onFrame: OnFrame) {
    super(maxBytes + delimiter.length, onFrame)
    this.#delimiter = delimiter
    this.#includesDelimiter = includesDelimiter
    this.#maxBytes = maxBytes
  }

  override reset(): void {
    super.reset()
    this.#isDropping = false
    this.#matched = 0
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    for (let at = 0; at < bytes.length;) {
      const end = this.#endOf(bytes, at)
      const to = end === -1 ? bytes.length : end
      this.#keep(bytes, at, to)
      if (end !== -1) this.#end()
      at = to
    }
  }

  /** Where the next delimiter ends, or -1. A delimiter may be spread over chunks. */
  #endOf(bytes: Buffer, from: number): number {
    const delimiter = this.#delimiter
    if (delimiter.length === 1) {
      const found = bytes.indexOf(delimiter[0]!, from)
      return found === -1 ? -1 : found + 1
    }
    let at = from
    while (at < bytes.length) {
      if (this.#matched === 0) {
        at = bytes.indexOf(delimiter[0]!, at)
        if (at === -1) return -1
      }
      while (this.#matched > 0 && bytes[at] !== delimiter[this.#matched]) this.#matched = borderOf(delimiter, this.#matched)
      if (bytes[at] === delimiter[this.#matched]) this.#matched++
      at++
      if (this.#matched === delimiter.length) {
        this.#matched = 0
        return at
      }
    }
    return -1
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    if (!this.#isDropping && this.heldBytes + (to - from) <= this.held.length) {
      this.take(bytes, from, to - from)
      return
    }
    this.#isDropping = true
    this.counters.droppedBytes += this.heldBytes + (to - from)
    this.heldBytes = 0
  }

  #end(): void {
    const content = this.heldBytes - this.#delimiter.length
    if (this.#isDropping) this.#isDropping = false
    else if (content > this.#maxBytes) this.counters.droppedBytes += this.heldBytes
    // Two delimiters in a row, as in \n\n, hold nothing.
    else if (content > 0) this.give(0, this.#includesDelimiter ? this.heldBytes : content)
    this.heldBytes = 0
  }
}

/** How much of the delimiter's first `length` bytes is met again at their end (Knuth, Morris, Pratt). */
function borderOf(delimiter: Buffer, length: number): number {
  for (let border = length - 1; border > 0; border--) {
    if (delimiter.subarray(0, border).equals(delimiter.subarray(length - border, length))) return border
  }
  return 0
}

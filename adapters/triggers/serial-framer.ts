import type { SerialFraming } from '../../config/triggers/serial.ts'

export interface FramerCounters {
  frames: number
  /** Bytes that belong to no frame: garbage, or frames that were too long. */
  droppedBytes: number
}

/**
 * Cuts a stream of bytes into frames. Holds at most one frame (`maxBytes`) and reads each byte once or twice, whatever comes.
 * What is too long is dropped up to where the next frame can begin.
 */
export interface Framer {
  readonly counters: FramerCounters
  push(chunk: Uint8Array): void
  /** The line was silent for a while: where that ends a frame, it ends here. */
  pause(): void
  /** The port was closed: a part of a frame is none. */
  reset(): void
}

type OnFrame = (frame: Buffer) => void

export function makeFramer(framing: SerialFraming, maxBytes: number, onFrame: OnFrame): Framer {
  switch (framing.kind) {
    case 'delimiter':
      return new DelimiterFramer(Buffer.from(framing.delimiter), framing.includeDelimiter, maxBytes, onFrame)
    case 'length':
      return new LengthFramer(framing.bytes, onFrame)
    case 'lengthPrefix':
      return new PrefixFramer(framing.bytes, framing.order, maxBytes, onFrame)
    case 'regex':
      return new RegexFramer(new RegExp(framing.source, 'g'), maxBytes, onFrame)
    case 'idle':
      return new IdleFramer(maxBytes, onFrame)
  }
}

/** What all have: a place for one frame, and the counters. */
abstract class BufferedFramer implements Framer {
  readonly counters: FramerCounters = { frames: 0, droppedBytes: 0 }
  protected readonly held: Buffer
  protected heldBytes = 0
  readonly #onFrame: OnFrame

  constructor(bytes: number, onFrame: OnFrame) {
    this.held = Buffer.allocUnsafe(bytes)
    this.#onFrame = onFrame
  }

  abstract push(chunk: Uint8Array): void

  pause(): void {}

  reset(): void {
    this.counters.droppedBytes += this.heldBytes
    this.heldBytes = 0
  }

  /** As much of `chunk` from `at` as there is room for; returns how much. */
  protected take(chunk: Uint8Array, at: number, wanted: number): number {
    const bytes = Math.min(wanted, this.held.length - this.heldBytes, chunk.length - at)
    this.held.set(chunk.subarray(at, at + bytes), this.heldBytes)
    this.heldBytes += bytes
    return bytes
  }

  protected give(from: number, to: number): void {
    this.counters.frames++
    this.#onFrame(Buffer.from(this.held.subarray(from, to)))
  }
}

class DelimiterFramer extends BufferedFramer {
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

/** A pause inside a frame means that bytes were lost: the next byte begins a frame. */
class LengthFramer extends BufferedFramer {
  constructor(bytes: number, onFrame: OnFrame) {
    super(bytes, onFrame)
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      at += this.take(chunk, at, Infinity)
      if (this.heldBytes < this.held.length) return
      this.give(0, this.heldBytes)
      this.heldBytes = 0
    }
  }

  override pause(): void {
    this.reset()
  }
}

/** A length that is too long cannot be one: what follows is dropped up to the next pause. */
class PrefixFramer extends BufferedFramer {
  readonly #prefixBytes: number
  readonly #order: 'big' | 'little'
  readonly #maxBytes: number
  #isLost = false

  constructor(prefixBytes: number, order: 'big' | 'little', maxBytes: number, onFrame: OnFrame) {
    super(prefixBytes + maxBytes, onFrame)
    this.#prefixBytes = prefixBytes
    this.#order = order
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#isLost) {
        this.counters.droppedBytes += chunk.length - at
        return
      }
      if (this.heldBytes < this.#prefixBytes) {
        at += this.take(chunk, at, this.#prefixBytes - this.heldBytes)
        if (this.heldBytes < this.#prefixBytes) return
      }
      const bytes = this.#order === 'big' ? this.held.readUIntBE(0, this.#prefixBytes) : this.held.readUIntLE(0, this.#prefixBytes)
      if (bytes > this.#maxBytes) {
        super.reset()
        this.#isLost = true
        continue
      }
      const end = this.#prefixBytes + bytes
      at += this.take(chunk, at, end - this.heldBytes)
      if (this.heldBytes < end) return
      if (bytes > 0) this.give(this.#prefixBytes, end)
      this.heldBytes = 0
    }
  }

  override pause(): void {
    this.reset()
  }

  override reset(): void {
    super.reset()
    this.#isLost = false
  }
}

/**
 * Frames are what the pattern matches; what lies between is dropped. A match at the end of what is there waits for more, or for a
 * pause. Bytes are read as Latin-1, one character each. The pattern sees at most two frames' length at a time.
 */
class RegexFramer extends BufferedFramer {
  readonly #regex: RegExp
  readonly #maxBytes: number

  constructor(regex: RegExp, maxBytes: number, onFrame: OnFrame) {
    super(2 * maxBytes, onFrame)
    this.#regex = regex
    this.#maxBytes = maxBytes
  }

  push(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      at += this.take(chunk, at, Infinity)
      this.#cut(false)
    }
  }

  override pause(): void {
    this.#cut(true)
  }

  #cut(isEnd: boolean): void {
    const text = this.held.toString('latin1', 0, this.heldBytes)
    let done = 0
    this.#regex.lastIndex = 0
    for (let match = this.#regex.exec(text); match; match = this.#regex.exec(text)) {
      const end = match.index + match[0].length
      if (match[0] === '') this.#regex.lastIndex++
      else if (end === text.length && !isEnd && this.heldBytes < this.held.length) break
      else {
        this.counters.droppedBytes += match.index - done
        if (match[0].length <= this.#maxBytes) this.give(match.index, end)
        else this.counters.droppedBytes += match[0].length
        done = end
      }
    }
    // What is left may begin a frame, but only its last part of a frame's length can still become one.
    const kept = isEnd ? 0 : Math.min(this.heldBytes - done, this.#maxBytes)
    this.counters.droppedBytes += this.heldBytes - done - kept
    this.held.copyWithin(0, this.heldBytes - kept, this.heldBytes)
    this.heldBytes = kept
  }
}

class IdleFramer extends BufferedFramer {
  #isDropping = false

  push(chunk: Uint8Array): void {
    if (!this.#isDropping && this.heldBytes + chunk.length <= this.held.length) {
      this.take(chunk, 0, chunk.length)
      return
    }
    this.counters.droppedBytes += this.heldBytes + chunk.length
    this.heldBytes = 0
    this.#isDropping = true
  }

  override pause(): void {
    if (this.heldBytes > 0) this.give(0, this.heldBytes)
    this.heldBytes = 0
    this.#isDropping = false
  }
}

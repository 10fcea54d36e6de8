import { malformed } from './mqtt-publish-packet.ts'

/** A packet of an MQTT stream: its first byte, where its body begins, and all of its bytes. */
export interface Frame {
  readonly first: number
  readonly bytes: Buffer
  readonly bodyAt: number
}

export interface FrameTaker {
  frame(frame: Frame): void
  /** A packet that is too large to be kept: its first `HEAD_BYTES`. The rest of it is thrown away as it comes. */
  tooLarge(frame: Frame, bytes: number): void
}

/** Holds topic and packet id of every PUBLISH. */
const HEAD_BYTES = 5 + 2 + 65_535 + 2

/** Cuts a byte stream into MQTT packets. It keeps one packet at the most, and of one larger than `bytesMax` only its beginning. */
export class Frames {
  readonly #bytesMax: number
  readonly #taker: FrameTaker
  #chunks: Buffer[] = []
  #length = 0
  /** Bytes there must be before it is worth to look again. */
  #needed = 2
  /** Bytes of a packet that is too large, still to come. */
  #skip = 0

  constructor(bytesMax: number, taker: FrameTaker) {
    this.#bytesMax = Math.max(bytesMax, HEAD_BYTES)
    this.#taker = taker
  }

  /** Throws 'mqtt-malformed'; then the stream is of no more use. */
  push(chunk: Buffer): void {
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, chunk.length)
      this.#skip -= skipped
      chunk = chunk.subarray(skipped)
    }
    this.#chunks.push(chunk)
    this.#length += chunk.length
    if (this.#length < this.#needed) return
    const bytes = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks)
    const rest = bytes.subarray(this.#cut(bytes))
    this.#chunks = rest.length > 0 ? [rest] : []
    this.#length = rest.length
  }

  /** Hands out the packets that are whole; returns where the first one that is not begins. */
  #cut(bytes: Buffer): number {
    let at = 0
    for (;;) {
      const header = headerOf(bytes, at)
      if (header === null) {
        this.#needed = bytes.length - at + 1
        return at
      }
      const { size, bodyAt } = header
      const isTooLarge = size > this.#bytesMax
      const wanted = isTooLarge ? HEAD_BYTES : size
      if (bytes.length - at < wanted) {
        this.#needed = wanted
        return at
      }
      const frame: Frame = { first: bytes[at]!, bytes: bytes.subarray(at, at + wanted), bodyAt: bodyAt - at }
      if (isTooLarge) this.#taker.tooLarge(frame, size)
      else this.#taker.frame(frame)
      this.#skip = Math.max(0, at + size - bytes.length)
      at = Math.min(bytes.length, at + size)
    }
  }
}

/** null: it has not all come yet. */
function headerOf(bytes: Buffer, at: number): { size: number; bodyAt: number } | null {
  let length = 0
  for (let i = 1; i <= 4; i++) {
    if (at + i >= bytes.length) return null
    const byte = bytes[at + i]!
    length += (byte & 0x7f) * 128 ** (i - 1)
    if (byte < 0x80) return { size: 1 + i + length, bodyAt: at + i + 1 }
  }
  throw malformed('a packet with a length of more than 4 bytes')
}

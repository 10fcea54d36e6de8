import { BufferedFramer, type OnFrame } from './serial-framer.ts'

/** A pause inside a frame means that bytes were lost: the next byte begins a frame. */
export class LengthFramer extends BufferedFramer {
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
export class PrefixFramer extends BufferedFramer {
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

/** Frames end with a pause. */
export class IdleFramer extends BufferedFramer {
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

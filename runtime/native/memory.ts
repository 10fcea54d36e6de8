/** Memory at addresses that stay: what C is given a pointer to. Small Buffers of Node may move, or share one with others. */
import koffi from 'koffi'

/** V8 may keep smaller arrays in its own heap. */
const MOVABLE_BYTES = 128
const SPARE_BYTES_MIN = 4096
const SPARE_BYTES_MAX = 4 << 20

/** Zeroed. */
export function ownMemory(bytes: number): Buffer {
  return Buffer.from(new ArrayBuffer(Math.max(bytes, MOVABLE_BYTES)), 0, bytes)
}

export function addressOf(memory: Buffer): number {
  return Number(koffi.address(memory))
}

/** Memory for one thing at a time, used again for the next: a worker under load makes no garbage of its bodies. */
export class SpareMemory {
  #memory: Buffer = Buffer.alloc(0)

  /** Not zeroed, and valid until the next call. What is larger than most is not kept for what is smaller. */
  take(bytes: number): Buffer {
    const isTooLarge = this.#memory.length > SPARE_BYTES_MAX && bytes <= SPARE_BYTES_MAX
    if (this.#memory.length < bytes || isTooLarge) this.#memory = Buffer.allocUnsafeSlow(Math.max(bytes, SPARE_BYTES_MIN))
    return this.#memory.subarray(0, bytes)
  }
}

type Memcpy = (target: Buffer, source: number, length: number) => unknown

/** Copies of memory that is not ours, one at a time; nothing stays behind that would have to be collected. */
export class ForeignMemory {
  readonly #spare = new SpareMemory()
  readonly #allow: (bytes: number) => void
  readonly #memcpy = koffi.load(null).func('void *memcpy(void *target, uintptr_t source, size_t length)') as Memcpy

  /** `allow` is told before memory is taken. */
  constructor(allow: (bytes: number) => void) {
    this.#allow = allow
  }

  copy(address: number, length: number): Buffer {
    this.#allow(length)
    const target = this.#spare.take(length)
    this.#memcpy(target, address, length)
    return target
  }
}

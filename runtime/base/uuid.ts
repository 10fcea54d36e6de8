import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 8192
const RANDOM_BYTES = 10

/**
 * UUIDv7 (RFC 9562): 48 bits of wall-clock milliseconds, then random. Ids of one source sort roughly by time.
 * Random bytes come from a pool: one system call every 819 ids.
 */
export class UuidSource {
  #pool = Buffer.alloc(POOL_BYTES)
  #used = POOL_BYTES

  /** Writes 16 bytes at `offset`. */
  write(target: Uint8Array, offset: number, timeMs: number): void {
    if (this.#used + RANDOM_BYTES > POOL_BYTES) {
      randomFillSync(this.#pool)
      this.#used = 0
    }
    const high = Math.floor(timeMs / 0x1_0000)
    target[offset] = (high >>> 24) & 0xff
    target[offset + 1] = (high >>> 16) & 0xff
    target[offset + 2] = (high >>> 8) & 0xff
    target[offset + 3] = high & 0xff
    target[offset + 4] = (timeMs >>> 8) & 0xff
    target[offset + 5] = timeMs & 0xff
    const pool = this.#pool
    const from = this.#used
    for (let i = 0; i < RANDOM_BYTES; i++) target[offset + 6 + i] = pool[from + i]!
    target[offset + 6] = (target[offset + 6]! & 0x0f) | 0x70
    target[offset + 8] = (target[offset + 8]! & 0x3f) | 0x80
    this.#used = from + RANDOM_BYTES
  }
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

/** The 36-character form of 16 bytes. */
export function uuidText(bytes: Uint8Array, offset = 0): string {
  let text = ''
  for (let i = 0; i < 16; i++) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-'
    text += HEX[bytes[offset + i]!]!
  }
  return text
}

import { randomFillSync } from 'node:crypto'
import fs from 'node:fs'

const CHUNK_BYTES = 256 * 1024
/** Given up piece by piece: whoever filled the disk may take a piece as well, and then there is another. */
const PIECES = 8

/**
 * A file of real blocks that is given up in pieces when the disk is full, so that settling and draining (which need a little
 * room in the WAL) go on. It is made whole again once the disk has as much to spare besides. Random bytes: zeros may be stored sparsely.
 */
export class Ballast {
  readonly #file: string
  readonly #dir: string
  readonly #bytes: number
  readonly #retryMs: number
  #held: number
  #tryAgainAt = 0

  constructor(file: string, dir: string, bytes: number, retryMs: number) {
    this.#file = file
    this.#dir = dir
    this.#bytes = bytes
    this.#retryMs = retryMs
    this.#held = fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Gives up a piece when the disk itself is short (not only the store's quota used up). True when it gave room back just now. */
  release(): boolean {
    if (this.#held === 0 || !this.diskIsShort()) return false
    this.#held = Math.max(0, this.#held - Math.ceil(this.#bytes / PIECES))
    fs.truncateSync(this.#file, this.#held)
    return true
  }

  get isWhole(): boolean {
    return this.#held === this.#bytes
  }

  /** Less is free than the whole ballast: a full store is then the disk's fault, not the quota's. */
  diskIsShort(): boolean {
    return this.#free() < this.#bytes
  }

  /** Looks, every retryMs at the most, whether there is room again, and makes the ballast whole. True when there is and it is. */
  restore(): boolean {
    if (performance.now() < this.#tryAgainAt) return false
    this.#tryAgainAt = performance.now() + this.#retryMs
    if (this.#free() < this.#bytes - this.#held + this.#bytes) return false
    try {
      if (!this.isWhole) this.#write()
      this.#held = this.#bytes
      return true
    } catch {
      // Somebody took the room meanwhile: give back what was written and try again later.
      if (fs.existsSync(this.#file)) fs.truncateSync(this.#file, this.#held)
      return false
    }
  }

  #free(): number {
    const { bavail, bsize } = fs.statfsSync(this.#dir)
    return bavail * bsize
  }

  #write(): void {
    const fd = fs.openSync(this.#file, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
    try {
      fs.ftruncateSync(fd, Math.min(this.#held, this.#bytes))
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, this.#bytes))
      for (let at = Math.min(this.#held, this.#bytes); at < this.#bytes;) {
        at += fs.writeSync(fd, randomFillSync(chunk), 0, Math.min(chunk.length, this.#bytes - at), at)
      }
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  }
}

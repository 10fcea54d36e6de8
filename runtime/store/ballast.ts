import { randomFillSync } from 'node:crypto'
import fs from 'node:fs'

const CHUNK_BYTES = 256 * 1024

/**
 * A file of real blocks that is given up when the disk is full, so that settling and draining (which need a little room in
 * the WAL) go on. It is made again once the disk has four times its size to spare. Random bytes: zeros may be stored sparsely.
 */
export class Ballast {
  readonly #file: string
  readonly #dir: string
  readonly #bytes: number
  readonly #retryMs: number
  #held = false
  #tryAgainAt = 0

  constructor(file: string, dir: string, bytes: number, retryMs: number) {
    this.#file = file
    this.#dir = dir
    this.#bytes = bytes
    this.#retryMs = retryMs
  }

  get held(): boolean {
    return this.#held
  }

  /** Gives it up when the disk itself is short (not only the store's quota used up). True when it gave room back just now. */
  release(): boolean {
    this.#tryAgainAt = performance.now() + this.#retryMs
    if (!this.#held || this.#diskHasRoom()) return false
    this.#held = false
    fs.rmSync(this.#file, { force: true })
    return true
  }

  /** Makes the ballast when it is missing and there is room; costs nothing while it is held. Returns true when it was made. */
  restore(): boolean {
    if (this.#held || performance.now() < this.#tryAgainAt) return false
    this.#tryAgainAt = performance.now() + this.#retryMs
    if (this.#size() === this.#bytes) {
      this.#held = true
      return false
    }
    try {
      if (!this.#diskHasRoom()) return false
      this.#write()
      this.#held = true
      return true
    } catch {
      fs.rmSync(this.#file, { force: true })
      return false
    }
  }

  #diskHasRoom(): boolean {
    const { bavail, bsize } = fs.statfsSync(this.#dir)
    return bavail * bsize >= this.#bytes * 4
  }

  #size(): number {
    return fs.statSync(this.#file, { throwIfNoEntry: false })?.size ?? 0
  }

  #write(): void {
    const fd = fs.openSync(this.#file, 'w', 0o600)
    try {
      const chunk = Buffer.alloc(Math.min(CHUNK_BYTES, this.#bytes))
      for (let written = 0; written < this.#bytes; ) {
        written += fs.writeSync(fd, randomFillSync(chunk), 0, Math.min(chunk.length, this.#bytes - written))
      }
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  }
}

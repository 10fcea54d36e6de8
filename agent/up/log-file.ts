/**
 * A child's log. The child writes to the file itself (opened for appending), so that its last words are kept when we are gone.
 * When the file is large it is copied to `<name>.1` and emptied; a line written between the two is lost.
 */
import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'

export const LOG_BYTES_MAX = 10 * 1024 * 1024
const CHECK_EVERY_MS = 10_000

export class LogFile {
  readonly path: string
  readonly #bytesMax: number
  #file: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(path: string, bytesMax = LOG_BYTES_MAX) {
    this.path = path
    this.#bytesMax = bytesMax
  }

  /** The file descriptor that a child takes as its stderr. */
  open(): number {
    this.#timer ??= setInterval(() => this.rotate(), CHECK_EVERY_MS).unref()
    return (this.#file ??= openSync(this.path, 'a+', 0o600))
  }

  rotate(): void {
    if (this.#file === undefined || fstatSync(this.#file).size <= this.#bytesMax) return
    copyFileSync(this.path, `${this.path}.1`)
    ftruncateSync(this.#file)
  }

  /** The last lines, oldest first: why a child ended. */
  tail(lines: number): string[] {
    if (this.#file === undefined) return []
    const { size } = fstatSync(this.#file)
    const bytes = Buffer.alloc(Math.min(size, 16_384))
    readSync(this.#file, bytes, 0, bytes.length, size - bytes.length)
    return bytes.toString('utf8').split('\n').filter(Boolean).slice(-lines)
  }

  close(): void {
    clearInterval(this.#timer)
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
  }
}

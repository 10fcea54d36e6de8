/** A file that is to be looked at. */
export interface Wanted {
  /** When, by performance.now(). */
  readonly dueMs: number
  /** What was seen at the last look. */
  readonly signature: string
  /** It was there at the start, and such files are not wanted: it is only to be known. */
  readonly isKnownOnly: boolean
}

/** Files that are to be looked at, each once, in the order in which they were wanted last. */
export class FileQueue {
  readonly #wanted = new Map<string, Wanted>()
  readonly #longestWaitMs: number

  /** `longestWaitMs`: how long those in order wait; only what went wrong waits longer. */
  constructor(longestWaitMs: number) {
    this.#longestWaitMs = longestWaitMs
  }

  get size(): number {
    return this.#wanted.size
  }

  has(file: string): boolean {
    return this.#wanted.has(file)
  }

  /** To the end of the queue, wherever it was. */
  want(file: string, inMs: number, signature = '', isKnownOnly = false): void {
    this.#wanted.delete(file)
    this.#wanted.set(file, { dueMs: performance.now() + inMs, signature, isKnownOnly })
  }

  /** Takes the first that is due; or milliseconds until one is, Infinity when there is none. */
  take(): [file: string, wanted: Wanted] | number {
    const now = performance.now()
    let soonestMs = Infinity
    for (const entry of this.#wanted) {
      const waitMs = entry[1].dueMs - now
      if (waitMs <= 0) {
        this.#wanted.delete(entry[0])
        return entry
      }
      soonestMs = Math.min(soonestMs, waitMs)
      // Those behind were wanted later, for as long.
      if (waitMs <= this.#longestWaitMs) break
    }
    return soonestMs
  }
}

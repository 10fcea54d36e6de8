const NEWLINE = 10

/** Bytes as they come from a pipe, taken in lines and lengths. Nothing is copied but what lies across two chunks. */
export class ByteQueue {
  readonly #chunks: Buffer[] = []
  #length = 0
  /** So many bytes hold no newline: they are not searched again. */
  #searched = 0

  get length(): number {
    return this.#length
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#length += chunk.length
  }

  /** The next line without its newline; undefined while there is no whole one. `hasLongLine` says whether to wait for it. */
  takeLine(): Buffer | undefined {
    const end = this.#newline()
    if (end === -1) return undefined
    const line = this.take(end)!
    this.take(1)
    return line
  }

  /** The line that has begun has more than `max` bytes, whether its end has come or not. */
  hasLongLine(max: number): boolean {
    if (this.#length <= max) return false
    const end = this.#newline()
    return end === -1 || end > max
  }

  /** The next `count` bytes; undefined while there are fewer. */
  take(count: number): Buffer | undefined {
    if (this.#length < count) return undefined
    this.#length -= count
    this.#searched = Math.max(0, this.#searched - count)
    const parts: Buffer[] = []
    let wanted = count
    while (wanted > 0) {
      const first = this.#chunks[0]!
      if (first.length > wanted) {
        this.#chunks[0] = first.subarray(wanted)
        parts.push(first.subarray(0, wanted))
        wanted = 0
      } else {
        this.#chunks.shift()
        parts.push(first)
        wanted -= first.length
      }
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }

  #newline(): number {
    let at = 0
    for (const chunk of this.#chunks) {
      const from = Math.max(0, this.#searched - at)
      if (from < chunk.length) {
        const found = chunk.indexOf(NEWLINE, from)
        if (found !== -1) {
          this.#searched = at + found
          return at + found
        }
      }
      at += chunk.length
    }
    this.#searched = at
    return -1
  }
}

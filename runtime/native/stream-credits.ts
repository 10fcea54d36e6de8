/** What the reader of a streamed answer has room for (docs/ring.md, "Streamed answers"). */
const FIRST_CREDIT_BYTES = 256 << 10

export class StreamCredits {
  readonly #left = new Map<number, number>()

  /** Bytes that may be sent now; null: the reader is gone. */
  left(ticket: number): number | null {
    const left = this.#left.get(ticket) ?? FIRST_CREDIT_BYTES
    return left < 0 ? null : left
  }

  spend(ticket: number, bytes: number): void {
    this.#left.set(ticket, (this.left(ticket) ?? 0) - bytes)
  }

  /** CREDIT has come; 0: nobody reads on. */
  add(ticket: number, bytes: number): void {
    // Of a stream that has ended meanwhile.
    if (!this.#left.has(ticket)) return
    if (bytes === 0) this.#left.set(ticket, GONE)
    else if (this.left(ticket) !== null) this.spend(ticket, -bytes)
  }

  end(ticket: number): void {
    this.#left.delete(ticket)
  }
}

const GONE = -1

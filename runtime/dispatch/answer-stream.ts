import type { BodyReader, BodyStream } from './body-stream.ts'

/** Bytes of one answer that are on their way at the most: a slow reader costs this much. */
export const STREAM_CREDIT_BYTES = 256 * 1024
/** Credit is given in pieces of this, not for every part. */
const GRANT_BYTES = STREAM_CREDIT_BYTES / 4

/**
 * The agent's end of an answer in parts: what the guest sends waits here for its reader, and what the reader has taken is told to
 * the guest as credit.
 */
export class AnswerStream implements BodyStream {
  readonly #grant: (bytes: number) => void
  #reader: BodyReader | null = null
  #waiting: Buffer[] = []
  /** What the guest may still send. */
  #credit = STREAM_CREDIT_BYTES
  /** Taken by the reader, and not told to the guest yet. */
  #owed = 0
  #state: 'open' | 'ended' | 'cancelled' = 'open'
  #end: Error | null = null

  /** `grant` sends credit to the guest; 0: nobody reads any more. */
  constructor(grant: (bytes: number) => void) {
    this.#grant = grant
  }

  get isCancelled(): boolean {
    return this.#state === 'cancelled'
  }

  /** The guest has sent all it may, and waits for the reader. */
  get isStalled(): boolean {
    return this.#state === 'open' && this.#credit === 0
  }

  /** A part from the guest, which the stream owns. False: it had no credit for it. */
  add(part: Buffer): boolean {
    if (part.length > this.#credit) return false
    this.#credit -= part.length
    if (this.#state !== 'open' || part.length === 0) return true
    if (this.#reader) this.#reader.part(part)
    else this.#waiting.push(part)
    return true
  }

  /** Nothing follows. Idempotent. */
  finish(error: Error | null): void {
    if (this.#state !== 'open') return
    this.#state = 'ended'
    this.#end = error
    this.#reader?.end(error)
  }

  read(reader: BodyReader): void {
    this.#reader = reader
    const parts = this.#waiting
    this.#waiting = []
    for (const part of parts) if (this.#state !== 'cancelled') reader.part(part)
    if (this.#state === 'ended') reader.end(this.#end)
  }

  taken(bytes: number): void {
    if (this.#state !== 'open') return
    this.#owed += bytes
    if (this.#owed < GRANT_BYTES) return
    this.#credit += this.#owed
    this.#grant(this.#owed)
    this.#owed = 0
  }

  cancel(): void {
    if (this.#state !== 'open') return
    this.#state = 'cancelled'
    this.#waiting = []
    this.#grant(0)
  }
}

import { Kind, Tag } from '../../event/record.ts'
import { toBytes } from './content.ts'
import type { GuestLink } from './guest-link.ts'
import { headersOf, Response } from './response.ts'

/** One part of a streamed answer at the most (docs/ring.md). */
const CHUNK_BYTES_MAX = 64 * 1024
/** Bytes that may be sent before the agent gives more credit. */
const CREDIT_BYTES = 256 * 1024

type Parts = AsyncIterator<unknown> | Iterator<unknown>

/** The parts of a body that comes in parts: an async iterable (a generator, a ReadableStream), or an iterator; undefined: it does not. */
export function partsOf(body: unknown): Parts | undefined {
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array) return undefined
  if (Symbol.asyncIterator in body) return (body as AsyncIterable<unknown>)[Symbol.asyncIterator]()
  if (Symbol.iterator in body && 'next' in body) return (body as unknown as Iterable<unknown>)[Symbol.iterator]()
  return undefined
}

/** Streamed answers that are being sent, by ticket: CREDIT finds them here. */
export class Streams {
  readonly #link: GuestLink
  readonly #open = new Map<number, StreamedAnswer>()

  constructor(link: GuestLink) {
    this.#link = link
  }

  /** Sends all parts. Resolves when there are no more, or nobody reads them; rejects when the generator throws. */
  async send(ticket: number, head: Response | undefined, parts: Parts): Promise<void> {
    const answer = new StreamedAnswer(ticket, this.#link, head, parts)
    this.#open.set(ticket, answer)
    try {
      await answer.send()
    } finally {
      this.#open.delete(ticket)
    }
  }

  onCredit(ticket: number, bytes: number): void {
    this.#open.get(ticket)?.onCredit(bytes)
  }
}

/** sending -> waiting for credit -> sending ... -> done; cancelled by the reader in any state. */
class StreamedAnswer {
  readonly #ticket: number
  readonly #link: GuestLink
  readonly #parts: Parts
  readonly #cancelled = Promise.withResolvers<null>()
  #isCancelled = false
  #head: Response | undefined
  #isHeadSent = false
  #credit = CREDIT_BYTES
  #room: PromiseWithResolvers<void> | undefined

  constructor(ticket: number, link: GuestLink, head: Response | undefined, parts: Parts) {
    this.#ticket = ticket
    this.#link = link
    this.#head = head
    this.#parts = parts
  }

  onCredit(bytes: number): void {
    this.#credit += bytes
    if (bytes === 0) {
      this.#isCancelled = true
      this.#cancelled.resolve(null)
    }
    this.#room?.resolve()
    this.#room = undefined
  }

  async send(): Promise<void> {
    if (this.#head) this.#chunk(EMPTY)
    try {
      for (;;) {
        const next = await Promise.race([this.#parts.next(), this.#cancelled.promise])
        if (next === null || next.done) break
        await this.#part(await next.value)
      }
      // An answer without a part has a head all the same.
      if (!this.#isHeadSent) this.#chunk(EMPTY)
    } finally {
      this.#close()
    }
  }

  /** Nuclio's generators may give Responses: the head is that of the first. */
  async #part(value: unknown): Promise<void> {
    const isResponse = value instanceof Response
    if (isResponse && !this.#isHeadSent) this.#head = value
    const { bytes, contentType } = toBytes(isResponse ? value.body : value)
    this.#head ??= new Response('', {}, contentType)
    for (let at = 0; at < bytes.length;) {
      while (this.#credit === 0 && !this.#isCancelled) await (this.#room = Promise.withResolvers<void>()).promise
      if (this.#isCancelled) return
      const piece = bytes.subarray(at, at + Math.min(CHUNK_BYTES_MAX, this.#credit))
      this.#chunk(piece)
      at += piece.length
    }
  }

  #chunk(bytes: Uint8Array): void {
    const { head } = this.#link
    let status = 0
    if (!this.#isHeadSent) {
      this.#isHeadSent = true
      status = this.#head?.statusCode ?? 200
      if (this.#head?.contentType !== undefined) head.add(Tag.contentType, this.#head.contentType)
      if (this.#head) for (const [name, value] of headersOf(this.#head)) head.add(Tag.header, value, name)
    }
    this.#credit -= bytes.length
    this.#link.send(Kind.chunk, this.#ticket, status, bytes)
  }

  /** A generator that is waiting for something ends when it has it; nobody waits for that. */
  #close(): void {
    try {
      void Promise.resolve(this.#parts.return?.()).catch(() => {})
    } catch {
      // A plain generator that throws while it is closed: nobody wants its parts any more.
    }
  }
}

const EMPTY = new Uint8Array(0)

import { Kind, Tag } from '../../event/record.ts'
import { toBytes } from './content.ts'
import type { Answering } from './guest-context.ts'
import { Response } from './guest-event.ts'
import type { GuestLink } from './guest-link.ts'

export interface AnswerOptions {
  /** The handler answers through context.callback: returning nothing is no answer. */
  readonly silenceIsNoAnswer: boolean
  readonly onAnswered: () => void
  readonly onLateFailure: (error: unknown) => void
}

/** Sends exactly one RESULT for its event, whatever the handler does. */
export class EventAnswer implements Answering {
  readonly ticket: number
  answered = false
  readonly #link: GuestLink
  readonly #options: AnswerOptions

  constructor(ticket: number, link: GuestLink, options: AnswerOptions) {
    this.ticket = ticket
    this.#link = link
    this.#options = options
  }

  returned(value: unknown): void {
    if (value === undefined && this.#options.silenceIsNoAnswer) return
    this.answer(value)
  }

  answer(value: unknown): void {
    if (this.answered) return
    this.answered = true
    try {
      if (Array.isArray(value) && value.length === 2 && typeof value[0] === 'number') this.#sendResult(value[0], value[1])
      else if (value instanceof Response) this.#sendResult(value.statusCode, value.body, value.contentType, value.headers)
      else if (value instanceof Error) this.#sendFailure(value)
      else this.#sendResult(200, value)
    } catch (error) {
      this.#link.head.reset()
      this.#sendFailure(error)
    }
    this.#options.onAnswered()
  }

  fail(error: unknown): void {
    if (this.answered) return this.#options.onLateFailure(error)
    this.answered = true
    this.#sendFailure(error)
    this.#options.onAnswered()
  }

  #sendResult(status: number, body: unknown, contentType?: string, headers?: Record<string, string>): void {
    const content = toBytes(body, contentType)
    if (content.contentType !== undefined) this.#link.head.add(Tag.contentType, content.contentType)
    if (headers) for (const key of Object.keys(headers)) this.#link.head.add(Tag.header, String(headers[key]), key)
    this.#link.send(Kind.result, this.ticket, status, content.bytes)
  }

  #sendFailure(error: unknown): void {
    addError(this.#link, error)
    this.#link.send(Kind.result, this.ticket, 500, null)
  }
}

/** The items of a failure: what went wrong, and where. */
export function addError(link: GuestLink, error: unknown): void {
  link.head.add(Tag.error, (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 4096))
  if (error instanceof Error && error.stack) link.head.add(Tag.stack, error.stack.slice(0, 16_384))
}

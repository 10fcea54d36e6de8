import { Flag, Kind, Tag } from '../../event/record.ts'
import { batchAnswers } from './batch-answers.ts'
import { toBytes } from './content.ts'
import type { Answering } from './guest-context.ts'
import type { Event } from './guest-event.ts'
import type { GuestLink } from './guest-link.ts'
import { headersOf, isNoAck, Response } from './response.ts'
import { partsOf, type Streams } from './streamed-answer.ts'

export interface AnswerOptions {
  readonly streams: Streams
  /** The handler answers through context.callback: returning nothing is no answer. */
  readonly silenceIsNoAnswer: boolean
  readonly onAnswered: () => void
  readonly onLateFailure: (error: unknown) => void
}

/** Sends exactly one RESULT for each of its events, whatever the handler does. Its first event is the one that operations belong to. */
export class EventAnswer implements Answering {
  readonly ticket: number
  readonly logLevel: number
  /** Every RESULT is sent. */
  answered = false
  /** The handler has answered; of a streamed answer, parts may follow. */
  #isDecided = false
  readonly #events: readonly Event[] | null
  readonly #link: GuestLink
  readonly #options: AnswerOptions

  /** `batch`: the events of a handler that gets lists; null: it gets `event`. */
  constructor(event: Event, batch: readonly Event[] | null, link: GuestLink, options: AnswerOptions) {
    this.ticket = event.ticket
    this.logLevel = event.logLevel
    this.#events = batch
    this.#link = link
    this.#options = options
  }

  returned(value: unknown): void {
    if (value === undefined && this.#options.silenceIsNoAnswer) return
    this.answer(value)
  }

  answer(value: unknown): void {
    if (this.#isDecided) return
    this.#isDecided = true
    if (this.#events) return this.#answerBatch(value, this.#events)
    const parts = partsOf(value instanceof Response ? value.body : value)
    if (parts) {
      this.#options.streams.send(this.ticket, value instanceof Response ? value : undefined, parts).then(
        () => this.#end(() => this.#sendResult(this.ticket, 200, undefined, value instanceof Response && isNoAck(value) ? Flag.noAck : 0)),
        (error: unknown) => this.#end(() => this.#sendFailure(this.ticket, error)),
      )
    } else this.#end(() => this.#sendAnswer(this.ticket, value))
  }

  fail(error: unknown): void {
    if (this.#isDecided) return this.#options.onLateFailure(error)
    this.#isDecided = true
    this.#end(() => {
      if (!this.#events) return this.#sendFailure(this.ticket, error)
      for (const { ticket } of this.#events) this.#sendFailure(ticket, error, Flag.batchFailed)
    })
  }

  #answerBatch(value: unknown, events: readonly Event[]): void {
    this.#end(() => {
      for (const [place, answer] of batchAnswers(value, events).entries()) {
        const { ticket } = events[place]!
        if ('error' in answer) this.#sendFailure(ticket, answer.error)
        else if (partsOf(answer.value instanceof Response ? answer.value.body : answer.value)) {
          this.#sendFailure(ticket, new TypeError('Cannot stream the answer of a batch: return a body'))
        } else this.#sendAnswer(ticket, answer.value)
      }
    })
  }

  #end(send: () => void): void {
    this.answered = true
    send()
    this.#options.onAnswered()
  }

  #sendAnswer(ticket: number, value: unknown): void {
    try {
      if (isStatusAndBody(value)) this.#sendResult(ticket, value[0], value[1])
      else if (value instanceof Response) {
        const content = toBytes(value.body, value.contentType)
        for (const [name, text] of headersOf(value)) this.#link.head.add(Tag.header, text, name)
        this.#send(ticket, checked(value.statusCode), content, isNoAck(value) ? Flag.noAck : 0)
      } else if (value instanceof Error) this.#sendFailure(ticket, value)
      else this.#sendResult(ticket, 200, value)
    } catch (error) {
      this.#link.head.reset()
      this.#sendFailure(ticket, error)
    }
  }

  #sendResult(ticket: number, status: number, body: unknown, flags = 0): void {
    this.#send(ticket, status, toBytes(body), flags)
  }

  #send(ticket: number, status: number, { bytes, contentType }: ReturnType<typeof toBytes>, flags: number): void {
    if (contentType !== undefined) this.#link.head.add(Tag.contentType, contentType)
    this.#link.send(Kind.result, ticket, status, bytes, flags)
  }

  #sendFailure(ticket: number, error: unknown, flags = 0): void {
    addError(this.#link, error)
    this.#link.send(Kind.result, ticket, 500, null, flags)
  }
}

/** Nuclio's (status, body): a list of two numbers whose first is no status is a list. */
function isStatusAndBody(value: unknown): value is [number, unknown] {
  return Array.isArray(value) && value.length === 2 && Number.isInteger(value[0]) && value[0] >= 100 && value[0] <= 599
}

function checked(status: number): number {
  if (Number.isInteger(status) && status >= 100 && status <= 999) return status
  throw new RangeError(`Cannot answer with status ${status}: expected 100 to 999`)
}

/** The items of a failure: what went wrong, and where. */
export function addError(link: GuestLink, error: unknown): void {
  link.head.add(Tag.error, (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 4096))
  if (error instanceof Error && error.stack) link.head.add(Tag.stack, error.stack.slice(0, 16_384))
}

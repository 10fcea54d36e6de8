import { findItem, itemsOf } from '../event/head.ts'
import { AT, Tag } from '../event/record.ts'
import { bodyOf, headOf } from '../event/event-writer.ts'
import type { BodyStream } from './body-stream.ts'

/** What a direct caller (HTTP, invoke, call_function) gets back. */
export interface Answer {
  readonly status: number
  readonly contentType: string | undefined
  readonly headers: Record<string, string>
  readonly body: Buffer
  /** Why it failed; undefined for status < 500. */
  readonly error: string | undefined
  /** What the handler logged for this event, when its record asked for it (setLogLevel of event-writer.ts). */
  readonly logs?: readonly EventLogLine[]
}

/** A line that a handler logged; `level` as in pino (10 debug, 20 info, 30 warn, 40 error), `fields` JSON text or empty. */
export interface EventLogLine {
  readonly level: number
  readonly message: string
  readonly fields: string
  /** Wall clock when the agent read it. */
  readonly timeMs: number
}

export type Reply = (answer: Answer) => void

/**
 * Takes an answer whose body comes in parts: `head` has an empty body. Called in place of Reply, once. What the handler asked for is
 * committed when the stream ends without an error; so is the answer of a Reply. Who gives only a Reply gets the parts as one body.
 */
export type StreamReply = (head: Answer, body: BodyStream) => void

/** One event on its way through a pipeline: the record, where it is kept, and what its handler has asked for so far. */
export class Delivery {
  readonly record: Buffer
  /** 0: not in the inbox (direct). */
  readonly inboxId: number
  readonly key: string
  readonly reply: Reply | null
  /** Failed deliveries so far. */
  failures: number
  /** EMIT, PUBLISH, STATE_SET and STATE_DELETE records of the running attempt, in order. Thrown away when it fails. */
  operations: Buffer[] = NO_OPERATIONS
  /** Its place among the events of its pipeline; set when it is queued. */
  order = 0
  /** It was handled ahead of an event of its key that failed: its outcome does not count, and it is handled again. */
  isVoid = false
  /** It was running, among others, when a worker ended: it is tried again alone, so that the guilty one is found. */
  isSuspect = false
  /** performance.now() when it was queued, then when it was given to a worker. */
  sinceMs: number

  constructor(record: Buffer, inboxId: number, key: string, failures: number, reply: Reply | null, nowMs: number) {
    this.record = record
    this.inboxId = inboxId
    this.key = key
    this.failures = failures
    this.reply = reply
    this.sinceMs = nowMs
  }

  /** Which attempt the next (or running) one is, from 1. */
  get attempt(): number {
    return this.failures + 1
  }

  addOperation(record: Buffer): void {
    if (this.operations === NO_OPERATIONS) this.operations = [record]
    else this.operations.push(record)
  }

  dropOperations(): void {
    this.operations = NO_OPERATIONS
  }
}

const NO_OPERATIONS: Buffer[] = []

/** Reads a RESULT record that the caller owns (not a view into a ring). */
export function answerOf(result: Buffer): Answer {
  const head = headOf(result)
  const status = result.readUInt16LE(AT.status) || 200
  return {
    status,
    contentType: findItem(head, Tag.contentType),
    headers: itemsOf(head, Tag.header),
    body: bodyOf(result),
    error: status >= 500 ? (findItem(head, Tag.error) ?? `status ${status}`) : undefined,
  }
}

export function failedAnswer(status: number, error: string): Answer {
  return { status, contentType: 'text/plain; charset=utf-8', headers: {}, body: Buffer.from(error), error }
}

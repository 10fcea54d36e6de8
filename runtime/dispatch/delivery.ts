import { findItem, itemsOf } from '../event/head.ts'
import { AT, Tag } from '../event/record.ts'
import { bodyOf, headOf } from '../event/event-writer.ts'
import { FunctionError } from '../base/errors.ts'
import type { AnswerStream } from './answer-stream.ts'
import type { GatheredBody } from './gathered-body.ts'
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

/** Who gives a pool its events and takes what becomes of them: a pipeline. */
export interface PoolConsumer {
  onResult(delivery: Delivery, result: Buffer): void
  /** The worker that had it is gone. Uncounted: it had not been started, and may be given again at once. */
  onLost(delivery: Delivery, error: Error, counted: boolean): void
  /** An explicit acknowledgement; `error`: why the event failed instead. */
  onAck(delivery: Delivery, error: string | null): void
  /** Its answer comes in parts; `onResult` follows them. */
  onStream(delivery: Delivery, head: Answer): void
  onRoom(): void
  /** How long its oldest event that a worker may take has waited, in milliseconds; 0: none waits. */
  readonly oldestWaitMs: number
}

/** One event on its way through a pipeline: the record, where it is kept, and what its handler has asked for so far. */
export class Delivery {
  readonly record: Buffer
  /** 0: not in the inbox (direct). */
  inboxId: number
  readonly key: string
  readonly reply: Reply | null
  /** Failed deliveries so far. */
  failures: number
  /** EMIT, PUBLISH, STATE_SET and STATE_DELETE records of the running attempt, in order. Thrown away when it fails. */
  operations: Buffer[] = NO_OPERATIONS
  /** Its place among the events of its pipeline; set when it is queued. */
  order = 0
  /** Where a pool takes what becomes of it; set when a worker gets it. */
  consumer: PoolConsumer | null = null
  /** It was handled ahead of an event of its key that failed: its outcome does not count, and it is handled again. */
  isVoid = false
  /** It was running, among others, when a worker ended: it is tried again alone, so that the guilty one is found. */
  isSuspect = false
  /** Batches: its batch failed and nobody knows which event did it, so it is given alone. */
  isAlone = false
  /** Batches: a worker has it (KeyLanes). */
  isAtWorker = false
  /** Which batch of its worker it is in; 0: none. */
  batch = 0
  /** Takes an answer in parts; null: parts are gathered. */
  onStream: StreamReply | null = null
  /** The answer comes in parts, and these are what there is of it. */
  stream: AnswerStream | null = null
  /** Its caller was given the stream: it cannot be answered in another way any more, nor tried again. */
  isStreaming = false
  /** What its caller was told at the beginning of the stream. */
  streamedStatus = 0
  /** The parts are put together here, because nobody takes them apart. */
  gathered: GatheredBody | null = null
  /** Answered and not acknowledged: it has left the order of its key. */
  isDetached = false
  /** Explicit acknowledgement that came before the answer: null none, '' good, else why it failed. */
  earlyAck: string | null = null
  /** Answered and not acknowledged: tells the worker that nobody waits for the acknowledgement any more. */
  forget: (() => void) | null = null
  /** Log lines of the running attempt, when its record wants them. */
  logs: EventLogLine[] | null = null
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

  /** Tells the caller, if there is one, what became of it. */
  tell(answer: Answer): void {
    if (this.isStreaming) {
      this.stream?.finish(answer.error === undefined ? null : new FunctionError('stream-broken', answer.error))
    } else this.reply?.(this.logs === null ? answer : { ...answer, logs: this.logs })
  }

  /** The attempt does not count: what it left behind is thrown away. A stream that its caller has is broken off by `tell`. */
  dropAttempt(): void {
    this.operations = NO_OPERATIONS
    if (!this.isStreaming) this.stream = null
    this.gathered = null
    this.earlyAck = null
  }

  addLog(line: EventLogLine): void {
    this.logs ??= []
    if (this.logs.length < EVENT_LOG_LINES_MAX) this.logs.push(line)
  }

  addOperation(record: Buffer): void {
    if (this.operations === NO_OPERATIONS) this.operations = [record]
    else this.operations.push(record)
  }
}

const NO_OPERATIONS: Buffer[] = []
/** Log lines of one event that are told to its caller; each has at most 16 KiB. */
const EVENT_LOG_LINES_MAX = 1_000

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
  // 503 is about a moment: a worker starts, a queue is full.
  const headers: Record<string, string> = status === 503 ? { 'retry-after': '1' } : {}
  return { status, contentType: 'text/plain; charset=utf-8', headers, body: Buffer.from(error), error }
}

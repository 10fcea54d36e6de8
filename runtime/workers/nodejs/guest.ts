import { AsyncLocalStorage } from 'node:async_hooks'
import { Flag, Kind } from '../../event/record.ts'
import type { Channel, RecordView } from '../../shared-memory/channel.ts'
import { addError, EventAnswer, type AnswerOptions } from './event-answer.ts'
import { Context, type Answering, type GuestInit } from './guest-context.ts'
import { Event } from './guest-event.ts'
import { GuestLink } from './guest-link.ts'
import { loadHandler, type LoadedHandler } from './handler-file.ts'
import { Streams } from './streamed-answer.ts'

/**
 * A worker of a nodejs function, in a thread or in a process of its own: loads the handler, then answers events, many at once
 * when it is asynchronous. It ends with the process (or thread) it runs in.
 */
export class Guest {
  readonly #channel: Channel
  readonly #link: GuestLink
  readonly #current = new AsyncLocalStorage<Answering>()
  #init!: GuestInit
  #context!: Context
  #loaded!: LoadedHandler
  readonly #streams: Streams
  #options!: AnswerOptions
  /** Events of a batch that is not complete yet. */
  #batch: Event[] = []
  #running = 0
  #stopping = false
  #ended = false

  constructor(channel: Channel) {
    this.#channel = channel
    this.#link = new GuestLink(channel)
    this.#streams = new Streams(this.#link)
  }

  start(): void {
    this.#channel.onRecord = (view) => this.#onRecord(view)
  }

  #onRecord(view: RecordView): void {
    switch (view.kind) {
      case Kind.event:
        return this.#onEvent(view)
      case Kind.stateValue:
      case Kind.callResult:
        return this.#context.onAnswer(view)
      case Kind.init:
        this.#init = JSON.parse(view.body.toString('utf8')) as GuestInit
        this.#load().catch((error: unknown) => {
          addError(this.#link, error)
          this.#link.send(Kind.initFailed, 0, 500, null)
        })
        return
      case Kind.credit:
        return this.#streams.onCredit(view.ticket, view.body.readUInt32LE(0))
      case Kind.stop:
        if (view.status === DRAIN_ONLY) return void this.#context.platform.drained(this.#onCallbackFailure)
        this.#stopping = true
        return this.#endWhenDone()
    }
  }

  async #load(): Promise<void> {
    this.#loaded = await loadHandler(this.#init.directory, this.#init.handler)
    this.#context = new Context(this.#init, this.#link, this.#current)
    this.#options = {
      streams: this.#streams,
      silenceIsNoAnswer: this.#loaded.usesCallback,
      onAnswered: this.#onAnswered,
      onLateFailure: (error) => this.#context.logger.error(`Handler failed after it had answered: ${String(error)}`),
    }
    if (this.#loaded.initContext) await this.#loaded.initContext(this.#context)
    this.#link.send(Kind.ready, 0, 0, READY)
  }

  #onEvent(view: RecordView): void {
    const event = new Event(view.record, this.#init.triggers[view.source] ?? this.#init.triggers[0]!)
    if (this.#init.batch) return this.#collect(event, (view.flags & Flag.batchMore) !== 0)
    this.#running++
    const answer = new EventAnswer(event, null, this.#link, this.#options)
    this.#current.run(answer, this.#runHandler, event, answer)
  }

  #collect(event: Event, isMore: boolean): void {
    this.#batch.push(event)
    if (isMore) return
    const batch = this.#batch
    this.#batch = []
    this.#running++
    const answer = new EventAnswer(batch[0]!, batch, this.#link, this.#options)
    this.#current.run(answer, this.#runHandler, batch, answer)
  }

  readonly #runHandler = (event: Event | readonly Event[], answer: EventAnswer): void => {
    let returned: unknown
    try {
      returned = this.#loaded.handler(this.#context, event)
    } catch (error) {
      return answer.fail(error)
    }
    if (isPromise(returned)) {
      returned.then(
        (value) => answer.returned(value),
        (error: unknown) => answer.fail(error),
      )
    } else answer.returned(returned)
  }

  readonly #onAnswered = (): void => {
    this.#running--
    this.#endWhenDone()
  }

  readonly #onCallbackFailure = (error: unknown): void =>
    this.#context.logger.error('Drain or termination callback failed', { error: String(error) })

  #endWhenDone(): void {
    if (!this.#stopping || this.#running > 0 || this.#ended) return
    this.#ended = true
    void this.#context.platform.stopped(this.#onCallbackFailure).then(() => {
      this.#channel.flush()
      setImmediate(() => process.exit(0))
    })
  }
}

/** STOP's status: acknowledge what is to be acknowledged, and go on. */
const DRAIN_ONLY = 1
const READY = Buffer.from('{"guest":"nodejs","mode":"async"}')

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

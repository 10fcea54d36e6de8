import { Kind, Tag } from '../../event/record.ts'
import { Event } from './guest-event.ts'
import type { GuestLink } from './guest-link.ts'
import type { Response } from './response.ts'

type Callback = () => unknown
export type CallFunction = (name: string, body: unknown, options?: CallOptions) => Promise<Response>

export interface CallOptions {
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Names an event so that it can be acknowledged after it was answered. Nuclio's class; only `from_event` makes one that works. */
export class QualifiedOffset {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The delivery that is acknowledged: a later one of the same event has another. */
  readonly ticket: number

  constructor(topic: string, partition: number, offset: number, ticket = 0) {
    this.topic = topic
    this.partition = partition
    this.offset = offset
    this.ticket = ticket
  }

  static fromEvent(event: Event): QualifiedOffset {
    return new QualifiedOffset(event.topic, event.shardId, event.offset, event.ticket)
  }

  static from_event(event: Event): QualifiedOffset {
    return QualifiedOffset.fromEvent(event)
  }
}

/** context.platform: Nuclio's names, and their JavaScript spellings. */
export class Platform {
  readonly call_function: CallFunction
  readonly callFunction: CallFunction
  readonly #link: GuestLink
  readonly #mayAcknowledge: boolean
  #onDrain: Callback | undefined
  #onTermination: Callback | undefined
  readonly setDrainCallback = (callback: Callback): void => this.set_drain_callback(callback)
  readonly setTerminationCallback = (callback: Callback): void => this.set_termination_callback(callback)
  readonly explicitAck = (event: QualifiedOffset | Event): Promise<void> => this.explicit_ack(event)
  readonly explicitNack = (event: QualifiedOffset | Event, reason?: string): Promise<void> => this.explicit_nack(event, reason)

  constructor(link: GuestLink, mayAcknowledge: boolean, call: CallFunction) {
    this.#link = link
    this.#mayAcknowledge = mayAcknowledge
    this.call_function = this.callFunction = call
  }

  /** Acknowledges an event whose answer did not: it is committed now, with what it emitted and changed. */
  async explicit_ack(event: QualifiedOffset | Event): Promise<void> {
    this.#acknowledge(event, 200)
  }

  /** The event has failed after all: it is given again, like one whose handler threw. */
  async explicit_nack(event: QualifiedOffset | Event, reason = 'the handler refused it'): Promise<void> {
    const ticket = this.#ticketOf(event)
    this.#link.head.add(Tag.error, reason.slice(0, 4096))
    this.#link.send(Kind.ack, ticket, 500, null)
  }

  /** Called, and awaited, when the worker has handled its last event; with explicit acknowledgement also while it goes on. */
  set_drain_callback(callback: Callback): void {
    this.#onDrain = callback
  }

  /** Called after that, before the worker ends. */
  set_termination_callback(callback: Callback): void {
    this.#onTermination = callback
  }

  /** What was answered and not acknowledged should be now. */
  async drained(onFailure: (error: unknown) => void): Promise<void> {
    await settled(this.#onDrain, onFailure)
  }

  /** The worker ends: nothing of a callback's failure stops that. */
  async stopped(onFailure: (error: unknown) => void): Promise<void> {
    await settled(this.#onDrain, onFailure)
    await settled(this.#onTermination, onFailure)
  }

  #acknowledge(event: QualifiedOffset | Event, status: number): void {
    this.#link.send(Kind.ack, this.#ticketOf(event), status, null)
  }

  #ticketOf(event: QualifiedOffset | Event): number {
    if (!this.#mayAcknowledge) throw new Error('Cannot acknowledge explicitly: set explicitAckMode: enable on the trigger')
    const { ticket } = event
    if (!(event instanceof QualifiedOffset || event instanceof Event) || ticket === 0) {
      throw new TypeError('Cannot acknowledge this: expected QualifiedOffset.fromEvent(event), or the event')
    }
    return ticket
  }
}

async function settled(callback: Callback | undefined, onFailure: (error: unknown) => void): Promise<void> {
  try {
    await callback?.()
  } catch (error) {
    onFailure(error)
  }
}

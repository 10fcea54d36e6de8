import type { AsyncLocalStorage } from 'node:async_hooks'
import { findItem, itemsOf } from '../../event/head.ts'
import { Flag, Kind, Tag } from '../../event/record.ts'
import type { RecordView } from '../../shared-memory/channel.ts'
import { toBytes, type Content } from './content.ts'
import { type Event, type TriggerInfo } from './guest-event.ts'
import type { GuestLink } from './guest-link.ts'
import { Platform, QualifiedOffset } from './guest-platform.ts'
import { Response } from './response.ts'

export interface GuestInit {
  readonly protocol: number
  readonly function: { readonly name: string; readonly version: string }
  readonly handler: string
  readonly directory: string
  readonly workerId: number
  readonly triggers: readonly TriggerInfo[]
  readonly stateExclusive: boolean
  readonly concurrency: number
  readonly logLevel: string
  readonly batch?: boolean
  readonly explicitAck?: boolean
}

export interface EmitOptions {
  readonly contentType?: string
  readonly headers?: Readonly<Record<string, string>>
  /** In a batch: which event it belongs to. Default: the first one. */
  readonly event?: Event
}

const LEVELS: Record<string, number> = { debug: 10, info: 20, warn: 30, error: 40 }

/**
 * What a handler's first argument is. The same object for all events of a worker: which event an emit or a state change
 * belongs to is known by the asynchronous context it is called in.
 */
export class Context {
  readonly user_data: Record<string, unknown> = {}
  readonly worker_id: number
  readonly function_name: string
  readonly function_version: string
  readonly Response = Response
  readonly QualifiedOffset = QualifiedOffset
  readonly logger: ContextLogger
  readonly state: ContextState
  readonly platform: Platform
  /** Nuclio's way to answer; returning a value does the same. */
  readonly callback: (answer: unknown) => void
  readonly #link: GuestLink
  readonly #current: AsyncLocalStorage<Answering>
  readonly #requests = new Requests()
  readonly #trigger: TriggerInfo

  constructor(init: GuestInit, link: GuestLink, current: AsyncLocalStorage<Answering>) {
    this.worker_id = init.workerId
    this.function_name = init.function.name
    this.function_version = init.function.version
    this.#trigger = init.triggers[0]!
    this.#link = link
    this.#current = current
    this.logger = new ContextLogger(link, LEVELS[init.logLevel] ?? 20, () => this.#current.getStore())
    this.state = new ContextState(link, this.#requests, current, () => this.#answering())
    this.platform = new Platform(link, init.explicitAck === true, (name, body, options) => this.call_function(name, body, options))
    this.callback = (answer) => this.#current.getStore()?.answer(answer)
  }

  get userData(): Record<string, unknown> {
    return this.user_data
  }

  get workerId(): number {
    return this.worker_id
  }

  get trigger(): TriggerInfo {
    return this.#trigger
  }

  get trigger_name(): string {
    return this.#trigger.name
  }

  get triggerName(): string {
    return this.#trigger.name
  }

  /** Appends to a stream: kept, with everything else this event does, when the handler has answered. */
  emit(stream: string, body: unknown, options: EmitOptions = {}): void {
    const content = toBytes(body, options.contentType)
    this.#link.head.add(Tag.stream, stream)
    this.#addOptions(content, options)
    this.#link.send(Kind.emit, this.#ticket(options.event), 0, content.bytes)
  }

  /** Publishes on the device's broker, to clients and to functions that listen there. */
  publish(topic: string, body: unknown, options: EmitOptions & { readonly qos?: 0 | 1; readonly retain?: boolean } = {}): void {
    const content = toBytes(body, options.contentType)
    this.#link.head.add(Tag.topic, topic)
    this.#addOptions(content, options)
    this.#link.send(Kind.publish, this.#ticket(options.event), 0, content.bytes, (options.qos ?? 1) | (options.retain ? 4 : 0))
  }

  /** Calls another function of this device, without a network. */
  async call_function(name: string, body: unknown, options: EmitOptions = {}): Promise<Response> {
    const content = toBytes(body, options.contentType)
    const { ticket, answered } = this.#requests.open()
    this.#link.head.add(Tag.function, name)
    this.#addOptions(content, options)
    this.#link.send(Kind.call, ticket, 0, content.bytes)
    const { status, head, body: bytes } = await answered
    return new Response(bytes, itemsOf(head, Tag.header), findItem(head, Tag.contentType), status)
  }

  /** STATE_VALUE and CALL_RESULT. */
  onAnswer(view: RecordView): void {
    this.#requests.answer(view)
  }

  #addOptions(content: Content, options: EmitOptions): void {
    if (content.contentType !== undefined) this.#link.head.add(Tag.contentType, content.contentType)
    if (options.headers) for (const key of Object.keys(options.headers)) this.#link.head.add(Tag.header, options.headers[key]!, key)
  }

  #ticket(event?: Event): number {
    const { ticket } = this.#answering()
    return event?.ticket ?? ticket
  }

  #answering(): Answering {
    const answering = this.#current.getStore()
    if (!answering || answering.answered)
      throw new Error('Cannot emit, publish or use state here: no event is being handled (was it awaited?)')
    return answering
  }
}

/** An event that is being handled. */
export interface Answering {
  readonly ticket: number
  readonly answered: boolean
  /** The level from which its log lines are wanted; 0: the function's own. */
  readonly logLevel: number
  /** What it has changed in the state, encoded; null: deleted. */
  changes?: Map<string, Buffer | null>
  answer(value: unknown): void
}

interface RawAnswer {
  readonly status: number
  readonly absent: boolean
  readonly head: Buffer
  readonly body: Buffer
}

/** The guest's own questions to the agent. */
class Requests {
  readonly #open = new Map<number, (answer: RawAnswer) => void>()
  #next = 1

  open(): { ticket: number; answered: Promise<RawAnswer> } {
    const ticket = this.#next++
    const { promise, resolve } = Promise.withResolvers<RawAnswer>()
    this.#open.set(ticket, resolve)
    return { ticket, answered: promise }
  }

  answer(view: RecordView): void {
    const resolve = this.#open.get(view.ticket)
    this.#open.delete(view.ticket)
    resolve?.({ status: view.status, absent: (view.flags & Flag.absent) !== 0, head: Buffer.from(view.head), body: Buffer.from(view.body) })
  }
}

/** Keys and values that are kept with the event: what a handler sets is committed together with its answer, or not at all. */
class ContextState {
  readonly #link: GuestLink
  readonly #requests: Requests
  readonly #current: AsyncLocalStorage<Answering>
  readonly #answering: () => Answering

  constructor(link: GuestLink, requests: Requests, current: AsyncLocalStorage<Answering>, answering: () => Answering) {
    this.#link = link
    this.#requests = requests
    this.#current = current
    this.#answering = answering
  }

  /** The event's own change, else the committed value: JSON as what it was set to, bytes as a Buffer; undefined when the key does not exist. */
  async get(key: string): Promise<unknown> {
    const own = this.#current.getStore()?.changes?.get(key)
    if (own !== undefined) return own === null ? undefined : decodeState(own)
    const { ticket, answered } = this.#requests.open()
    this.#link.head.add(Tag.key, key)
    this.#link.send(Kind.stateGet, ticket, 0, null)
    const { absent, body } = await answered
    return absent ? undefined : decodeState(body)
  }

  set(key: string, value: unknown): void {
    this.#change(Kind.stateSet, key, encodeState(value))
  }

  delete(key: string): void {
    this.#change(Kind.stateDelete, key, null)
  }

  #change(kind: Kind, key: string, value: Buffer | null): void {
    const answering = this.#answering()
    this.#link.head.add(Tag.key, key)
    this.#link.send(kind, answering.ticket, 0, value)
    ;(answering.changes ??= new Map()).set(key, value)
  }
}

/** A state value is one byte of form and the content: the same in every language (docs/ring.md). */
const STATE_BYTES = 0
const STATE_JSON = 1

function encodeState(value: unknown): Buffer {
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.of(STATE_BYTES), value])
  return Buffer.from(`\u0001${JSON.stringify(value) ?? 'null'}`)
}

/** JSON without its form byte is what this guest wrote at first. */
function decodeState(stored: Buffer): unknown {
  if (stored[0] === STATE_BYTES) return stored.subarray(1)
  return JSON.parse(stored.toString('utf8', stored[0] === STATE_JSON ? 1 : 0))
}

/** context.logger: info('text'), infoWith('text', { key: value }), and Nuclio's info_with and warnWith spellings. */
class ContextLogger {
  readonly #link: GuestLink
  readonly #level: number
  readonly #current: () => Answering | undefined
  readonly debug = (message: string, ...rest: unknown[]): void => this.#log(10, message, rest)
  readonly info = (message: string, ...rest: unknown[]): void => this.#log(20, message, rest)
  readonly warn = (message: string, ...rest: unknown[]): void => this.#log(30, message, rest)
  readonly error = (message: string, ...rest: unknown[]): void => this.#log(40, message, rest)
  readonly debugWith = this.debug
  readonly infoWith = this.info
  readonly warnWith = this.warn
  readonly errorWith = this.error
  readonly debug_with = this.debug
  readonly info_with = this.info
  readonly warn_with = this.warn
  readonly error_with = this.error

  constructor(link: GuestLink, level: number, current: () => Answering | undefined) {
    this.#link = link
    this.#level = level
    this.#current = current
  }

  #log(level: number, message: string, rest: unknown[]): void {
    if (level < this.#level) {
      const wanted = this.#current()?.logLevel ?? 0
      if (wanted === 0 || level < wanted) return
    }
    const fields = rest.length === 1 && typeof rest[0] === 'object' && rest[0] !== null ? rest[0] : undefined
    const text = fields || rest.length === 0 ? String(message) : `${message} ${rest.map(String).join(' ')}`
    if (fields) this.#link.head.add(Tag.fields, JSON.stringify(fields).slice(0, 16_384))
    this.#link.send(Kind.log, this.#current()?.ticket ?? 0, level, Buffer.from(text.slice(0, 16_384)))
  }
}

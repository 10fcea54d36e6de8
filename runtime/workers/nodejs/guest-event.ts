import { uuidText } from '../../base/uuid.ts'
import { bodyOf, getU64, headOf, logLevelOf } from '../../event/event-writer.ts'
import { findItem, itemsOf } from '../../event/head.ts'
import { AT, CLOCK_QUALITIES, CLOCK_SHIFT, Flag, Tag, type ClockQuality } from '../../event/record.ts'

export interface TriggerInfo {
  readonly name: string
  readonly kind: string
  readonly class: string
}

/**
 * What a handler gets: Nuclio's event fields, and those of MQTT and of redelivery. All are read when asked for.
 * Both spellings of Nuclio's SDKs work: `contentType` and `content_type`.
 */
export class Event {
  readonly trigger: TriggerInfo
  readonly #record: Buffer
  #body: unknown
  #parsed = false
  #headers: Record<string, string> | undefined

  constructor(record: Buffer, trigger: TriggerInfo) {
    this.#record = record
    this.trigger = trigger
  }

  /** UUIDv7; the same over all deliveries of this event. */
  get id(): string {
    return uuidText(this.#record, AT.id)
  }

  /**
   * A Buffer; for content type application/json the parsed value (or the Buffer, when it does not parse). Nuclio's handlers get a
   * Buffer always: what they do with it, `JSON.parse(event.body.toString())`, works with a parsed object too.
   */
  get body(): unknown {
    if (!this.#parsed) {
      this.#parsed = true
      this.#body = this.rawBody
      if (this.contentType.startsWith('application/json')) {
        try {
          const text = this.rawBody.toString('utf8')
          this.#body = withText(JSON.parse(text), text)
        } catch {
          // The handler sees what came.
        }
      }
    }
    return this.#body
  }

  /** The number of this delivery at its worker. */
  get ticket(): number {
    return getU64(this.#record, AT.ticket)
  }

  /** The level from which its log lines are wanted; 0: the function's own. */
  get logLevel(): number {
    return logLevelOf(this.#record)
  }

  get rawBody(): Buffer {
    return bodyOf(this.#record)
  }

  get size(): number {
    return this.#record.readUInt32LE(AT.bodyLength)
  }

  get contentType(): string {
    return findItem(headOf(this.#record), Tag.contentType) ?? ''
  }

  get content_type(): string {
    return this.contentType
  }

  get 'content-type'(): string {
    return this.contentType
  }

  /** By any spelling of their names: `headers['X-Given']` and `headers['x-given']` are one. */
  get headers(): Record<string, string> {
    return (this.#headers ??= anyCase(itemsOf(headOf(this.#record), Tag.header)))
  }

  get fields(): Record<string, string> {
    return itemsOf(headOf(this.#record), Tag.field)
  }

  get topic(): string {
    return this.#text(Tag.topic)
  }

  get method(): string {
    return this.#text(Tag.method)
  }

  get path(): string {
    return this.#text(Tag.path)
  }

  get url(): string {
    return this.#text(Tag.url)
  }

  get type(): string {
    return this.#text(Tag.type)
  }

  get typeVersion(): string {
    return this.#text(Tag.typeVersion)
  }

  get orderKey(): string {
    return this.#text(Tag.orderKey) || this.topic
  }

  get shardId(): number {
    return Number(this.#text(Tag.shardId) || 0)
  }

  get numShards(): number {
    return Number(this.#text(Tag.numShards) || 1)
  }

  get offset(): number {
    return Number(this.#text(Tag.offset) || 0)
  }

  get timestamp(): Date {
    return new Date(getU64(this.#record, AT.timeUs) / 1000)
  }

  get monotonicNs(): number {
    return getU64(this.#record, AT.monotonicNs)
  }

  get bootId(): number {
    return this.#record.readUInt32LE(AT.boot)
  }

  /** Which delivery this is; the first is 1. */
  get attempt(): number {
    return this.#record.readUInt16LE(AT.attempt)
  }

  get qos(): number {
    return this.#record[AT.flags]! & Flag.qosMask
  }

  get retain(): boolean {
    return (this.#record[AT.flags]! & Flag.retain) !== 0
  }

  /** It comes from the backlog of an outage. */
  get replayed(): boolean {
    return (this.#record[AT.flags]! & Flag.replayed) !== 0
  }

  get clockQuality(): ClockQuality {
    return CLOCK_QUALITIES[(this.#record[AT.flags]! & Flag.clockMask) >> CLOCK_SHIFT] ?? 'unset'
  }

  /** The function's, as in Nuclio; events have none here. */
  get version(): string {
    return ''
  }

  /** No more events of its batch follow; always so outside of batches. */
  get lastInBatch(): boolean {
    return (this.#record[AT.flags]! & Flag.batchMore) === 0
  }

  get type_version(): string {
    return this.typeVersion
  }

  get order_key(): string {
    return this.orderKey
  }

  get shard_id(): number {
    return this.shardId
  }

  get num_shards(): number {
    return this.numShards
  }

  get monotonic_ns(): number {
    return this.monotonicNs
  }

  get boot_id(): number {
    return this.bootId
  }

  get clock_quality(): ClockQuality {
    return this.clockQuality
  }

  get last_in_batch(): boolean {
    return this.lastInBatch
  }

  #text(tag: Tag): string {
    return findItem(headOf(this.#record), tag) ?? ''
  }
}

/** An object (or list) that gives the text it was parsed from when it is asked for one. */
function withText(value: unknown, text: string): unknown {
  if (typeof value !== 'object' || value === null || Object.hasOwn(value, 'toString')) return value
  return Object.defineProperty(value, 'toString', { value: () => text, configurable: true, writable: true })
}

/** Names of headers have no case (RFC 9110 5.1). A name as it is written is found at once. */
function anyCase(headers: Record<string, string>): Record<string, string> {
  const find = (name: string | symbol): string | symbol => {
    if (typeof name === 'symbol' || name in headers) return name
    const lower = name.toLowerCase()
    return lower in headers ? lower : (Object.keys(headers).find((key) => key.toLowerCase() === lower) ?? name)
  }
  return new Proxy(headers, {
    get: (target, name) => Reflect.get(target, find(name)),
    has: (target, name) => Reflect.has(target, find(name)),
  })
}

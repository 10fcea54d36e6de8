import { WIRE_PAYLOAD_BYTES_MAX } from '../../config/wire.ts'
import type { Clock } from '../base/clock.ts'
import type { UuidSource } from '../base/uuid.ts'
import { bodyOf, getU64, headOf, putU64 } from '../event/event-writer.ts'
import { findItem } from '../event/head.ts'
import { withHeadItems } from '../event/with-head-items.ts'
import { AT, CLOCK_QUALITIES, CLOCK_SHIFT, Kind, Tag } from '../event/record.ts'
import { RECORD_BYTES_MAX, STATE_KEY_BYTES_MAX } from '../store/limits.ts'
import type { SettleDone, Store } from '../store/store.ts'
import type { Delivery } from './delivery.ts'
import type { StateCache } from './state-cache.ts'
import type { StreamDirectory } from './stream-directory.ts'

/** One emitted record: it must fit, uncompressed and with its frame, into one message to the hub. */
const EMIT_BYTES_MAX = WIRE_PAYLOAD_BYTES_MAX - 4_096

export interface OutcomeParts {
  readonly store: Store
  readonly streams: StreamDirectory
  readonly clock: Clock
  readonly ids: UuidSource
  /** Takes a PUBLISH record to the local broker and to the triggers that listen there. */
  readonly publish: (record: Buffer, functionName: string) => void
  /** Head items that every row of a stream gets beside its own. */
  readonly label?: () => Uint8Array | undefined
}

/**
 * Writes what an event led to as ONE step of the store: input acked, outputs in streams, state changed, counted. Publishes go
 * first: they are inputs of other triggers, and lie in the same commit or an earlier one.
 */
export class OutcomeWriter {
  /** Streams written to so far. */
  readonly touched = new Set<number>()
  readonly #source: number
  readonly #state: StateCache
  readonly #parts: OutcomeParts

  constructor(source: number, state: StateCache, parts: OutcomeParts) {
    this.#source = source
    this.#state = state
    this.#parts = parts
  }

  /** Why this outcome can never be kept; undefined: it can. */
  refusal(delivery: Delivery, result: Buffer, outputStream: string | null): string | undefined {
    for (const operation of delivery.operations) {
      const refusal = refusalOf(operation)
      if (refusal !== undefined) return refusal
    }
    return outputStream !== null && result.length > EMIT_BYTES_MAX
      ? `Cannot keep an answer of ${result.length} bytes in stream ${outputStream}: at most ${EMIT_BYTES_MAX}`
      : undefined
  }

  /** A stream that must be opened first; undefined: all are open, and their numbers are in the records. */
  unopenedStream(delivery: Delivery, outputStream: string | null): string | undefined {
    const { streams } = this.#parts
    for (const operation of delivery.operations) {
      if (operation[AT.kind] !== Kind.emit) continue
      const name = findItem(headOf(operation), Tag.stream) ?? ''
      const stream = streams.idOf(name)
      if (stream === undefined) return name
      operation.writeUInt16LE(stream, AT.source)
    }
    return outputStream !== null && streams.idOf(outputStream) === undefined ? outputStream : undefined
  }

  publish(delivery: Delivery, functionName: string): void {
    for (const operation of delivery.operations) if (operation[AT.kind] === Kind.publish) this.#parts.publish(operation, functionName)
  }

  write(delivery: Delivery, result: Buffer, outputStream: string | null, done: SettleDone): void {
    const { store, streams } = this.#parts
    store.begin(this.#source, delivery.inboxId)
    for (const operation of delivery.operations) {
      const kind = operation[AT.kind]
      if (kind === Kind.emit) this.#emit(operation.readUInt16LE(AT.source), operation)
      else if (kind === Kind.stateSet || kind === Kind.stateDelete) this.#changeState(operation)
    }
    if (outputStream !== null && result.readUInt32LE(AT.bodyLength) > 0) {
      const output = Buffer.from(result)
      output[AT.kind] = Kind.emit
      output.fill(0, AT.ticket, AT.ticket + 8)
      this.#emit(streams.idOf(outputStream)!, output)
    }
    store.end(done)
  }

  #emit(stream: number, record: Buffer): void {
    this.#stamp(record)
    const label = this.#parts.label?.()
    this.#parts.store.emit(stream, label ? withHeadItems(record, label) : record)
    this.touched.add(stream)
  }

  #changeState(operation: Buffer): void {
    const { store } = this.#parts
    const key = findItem(headOf(operation), Tag.key) ?? ''
    const value = operation[AT.kind] === Kind.stateSet ? bodyOf(operation) : null
    if (value) store.setState(this.#state.fn, key, value)
    else store.deleteState(this.#state.fn, key)
    this.#state.put(key, value)
  }

  /** An emitted event gets its identity from the agent: a guest needs no clock and no randomness. */
  #stamp(record: Buffer): void {
    if (getU64(record, AT.timeUs) !== 0) return
    const { clock, ids, store } = this.#parts
    const timeUs = clock.nowUs()
    putU64(record, AT.timeUs, timeUs)
    putU64(record, AT.monotonicNs, clock.monotonicNs())
    ids.write(record, AT.id, timeUs / 1000)
    record.writeUInt32LE(store.boot, AT.boot)
    record[AT.flags] = CLOCK_QUALITIES.indexOf(clock.quality) << CLOCK_SHIFT
  }
}

/** What a handler asked for and the store can never keep. */
function refusalOf(operation: Buffer): string | undefined {
  const kind = operation[AT.kind]
  const bytesMax = kind === Kind.emit ? EMIT_BYTES_MAX : RECORD_BYTES_MAX
  if (operation.length > bytesMax) return `Cannot keep ${operation.length} bytes in one piece: at most ${bytesMax}`
  if (kind !== Kind.stateSet && kind !== Kind.stateDelete) return undefined
  const keyBytes = Buffer.byteLength(findItem(headOf(operation), Tag.key) ?? '')
  return keyBytes >= 1 && keyBytes <= STATE_KEY_BYTES_MAX
    ? undefined
    : `Cannot use a state key of ${keyBytes} bytes: expected 1 to ${STATE_KEY_BYTES_MAX}`
}

import type { Clock } from '../base/clock.ts'
import type { UuidSource } from '../base/uuid.ts'
import { HeadWriter } from './head.ts'
import { AT, CLOCK_QUALITIES, CLOCK_SHIFT, Flag, Kind, RECORD_HEADER_BYTES, recordSize } from './record.ts'

/** Makes records of kind EVENT. A trigger fills `head`, then calls `finish`, which leaves `head` empty for the next event. */
export class EventWriter {
  readonly head = new HeadWriter()
  readonly #clock: Clock
  readonly #ids: UuidSource
  readonly #boot: number

  constructor(clock: Clock, ids: UuidSource, boot: number) {
    this.#clock = clock
    this.#ids = ids
    this.#boot = boot
  }

  /** A new record with the head written so far and a copy of `body`. `flags`: QoS and retain bits. */
  finish(body: Uint8Array, flags = 0): Buffer {
    const head = this.head.bytes()
    const size = recordSize(head.length, body.length)
    const record = Buffer.allocUnsafe(size)
    const timeUs = this.#clock.nowUs()
    record.writeUInt32LE(size, AT.size)
    record[AT.kind] = Kind.event
    record[AT.flags] = (flags & (Flag.qosMask | Flag.retain)) | (CLOCK_QUALITIES.indexOf(this.#clock.quality) << CLOCK_SHIFT)
    record.writeUInt16LE(0, AT.status)
    record.fill(0, AT.ticket, AT.ticket + 8)
    record.writeUInt32LE(head.length, AT.headLength)
    record.writeUInt32LE(body.length, AT.bodyLength)
    putU64(record, AT.timeUs, timeUs)
    putU64(record, AT.monotonicNs, this.#clock.monotonicNs())
    this.#ids.write(record, AT.id, timeUs / 1000)
    record.writeUInt16LE(0, AT.source)
    record.writeUInt16LE(1, AT.attempt)
    record.writeUInt32LE(this.#boot, AT.boot)
    record.set(head, RECORD_HEADER_BYTES)
    record.set(body, RECORD_HEADER_BYTES + head.length)
    record.fill(0, RECORD_HEADER_BYTES + head.length + body.length)
    this.head.reset()
    return record
  }

  /** A new event with another record's head items and body (call_function, context.publish). */
  from(other: Buffer, flags = 0): Buffer {
    this.head.reset().append(headOf(other))
    return this.finish(bodyOf(other), flags)
  }
}

export function putU64(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value >>> 0, at)
  target.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4)
}

export function getU64(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * 0x1_0000_0000
}

/** Wants the log lines of this one event from `level` on (10 debug, 20 info, 30 warn, 40 error), beside those that its function logs anyway. */
export function setLogLevel(record: Buffer, level: number): void {
  record[AT.status + 1] = level
}

/** 0: no log lines are wanted. */
export function logLevelOf(record: Buffer): number {
  return record[AT.status + 1]!
}

export function headOf(record: Buffer): Buffer {
  return record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength))
}

export function bodyOf(record: Buffer): Buffer {
  const at = RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength)
  return record.subarray(at, at + record.readUInt32LE(AT.bodyLength))
}

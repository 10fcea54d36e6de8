import { readdirSync, readFileSync } from 'node:fs'
import { HeadWriter } from '../../../runtime/event/head.ts'
import { AT, RECORD_HEADER_BYTES, recordSize, type Tag } from '../../../runtime/event/record.ts'

/** One record in words, and the bytes that it must be. Numbers beyond 2^53 do not occur. */
export interface RecordVector {
  readonly name: string
  readonly kind: number
  readonly flags: number
  readonly status: number
  readonly ticket: number
  readonly timeUs: number
  readonly monotonicNs: number
  readonly id: string
  readonly source: number
  readonly attempt: number
  readonly boot: number
  /** [tag, value, key]; the key is '' but for headers and fields. */
  readonly head: readonly (readonly [number, string, string])[]
  readonly bodyHex: string
  readonly bytesHex: string
}

/** `body`: in place of `bodyHex`, where a megabyte of digits would be a waste. */
export function encodeVector(vector: Omit<RecordVector, 'bytesHex'>, body: Buffer = Buffer.from(vector.bodyHex, 'hex')): Buffer {
  const items = new HeadWriter()
  for (const [tag, value, key] of vector.head) items.add(tag as Tag, value, key)
  const head = items.bytes()
  const record = Buffer.alloc(recordSize(head.length, body.length))
  record.writeUInt32LE(record.length, AT.size)
  record[AT.kind] = vector.kind
  record[AT.flags] = vector.flags
  record.writeUInt16LE(vector.status, AT.status)
  record.writeBigUInt64LE(BigInt(vector.ticket), AT.ticket)
  record.writeUInt32LE(head.length, AT.headLength)
  record.writeUInt32LE(body.length, AT.bodyLength)
  record.writeBigUInt64LE(BigInt(vector.timeUs), AT.timeUs)
  record.writeBigUInt64LE(BigInt(vector.monotonicNs), AT.monotonicNs)
  record.write(vector.id, AT.id, 'hex')
  record.writeUInt16LE(vector.source, AT.source)
  record.writeUInt16LE(vector.attempt, AT.attempt)
  record.writeUInt32LE(vector.boot, AT.boot)
  record.set(head, RECORD_HEADER_BYTES)
  record.set(body, RECORD_HEADER_BYTES + head.length)
  return record
}

export function readVectors(): RecordVector[] {
  const folder = new URL('./', import.meta.url)
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as RecordVector)
}

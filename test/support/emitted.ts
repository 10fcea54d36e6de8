import { AT, Flag, Kind, RECORD_HEADER_BYTES, Tag, recordSize } from '../../runtime/event/record.ts'
import { HeadWriter } from '../../runtime/event/head.ts'
import { UuidSource } from '../../runtime/base/uuid.ts'
import type { FrameRow } from '../../runtime/event/frame.ts'

const ids = new UuidSource()

/** A record as a stream keeps it. */
export function emittedRecord(
  body: string | Buffer,
  options: { contentType?: string; headers?: Record<string, string>; replayed?: boolean; timeMs?: number } = {},
): Buffer {
  const head = new HeadWriter()
  if (options.contentType) head.add(Tag.contentType, options.contentType)
  for (const [key, value] of Object.entries(options.headers ?? {})) head.add(Tag.header, value, key)
  const bytes = Buffer.from(body)
  const record = Buffer.alloc(recordSize(head.length, bytes.length))
  const timeMs = options.timeMs ?? Date.now()
  record.writeUInt32LE(record.length, AT.size)
  record[AT.kind] = Kind.emit
  record[AT.flags] = options.replayed ? Flag.replayed : 0
  record.writeUInt32LE(head.length, AT.headLength)
  record.writeUInt32LE(bytes.length, AT.bodyLength)
  record.writeBigUInt64LE(BigInt(timeMs) * 1000n, AT.timeUs)
  ids.write(record, AT.id, timeMs)
  record.set(head.bytes(), RECORD_HEADER_BYTES)
  record.set(bytes, RECORD_HEADER_BYTES + head.length)
  return record
}

/** Rows with these seqs; the body says the seq. */
export function emittedRows(seqs: readonly number[]): FrameRow[] {
  return seqs.map((seq) => ({ seq, record: emittedRecord(`row ${seq}`, { contentType: 'text/plain' }) }))
}

export function span(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

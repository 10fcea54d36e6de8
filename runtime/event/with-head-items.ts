import { bodyOf, headOf } from './event-writer.ts'
import { AT, RECORD_HEADER_BYTES, recordSize } from './record.ts'

/** A copy of the record with more items at the end of its head. */
export function withHeadItems(record: Buffer, items: Uint8Array): Buffer {
  const head = headOf(record)
  const body = bodyOf(record)
  const headLength = head.length + items.length
  const copy = Buffer.alloc(recordSize(headLength, body.length))
  copy.set(record.subarray(0, RECORD_HEADER_BYTES))
  copy.writeUInt32LE(copy.length, AT.size)
  copy.writeUInt32LE(headLength, AT.headLength)
  copy.set(head, RECORD_HEADER_BYTES)
  copy.set(items, RECORD_HEADER_BYTES + head.length)
  copy.set(body, RECORD_HEADER_BYTES + headLength)
  return copy
}

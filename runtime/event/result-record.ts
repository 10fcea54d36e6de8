import type { Answer } from '../dispatch/delivery.ts'
import { HeadWriter } from './head.ts'
import { AT, Kind, RECORD_HEADER_BYTES, Tag, recordSize } from './record.ts'

/** A RESULT record from an answer: what call_function gets, and what runtimes without a ring (shell) answer with. */
export function resultRecord(answer: Pick<Answer, 'status' | 'contentType' | 'headers' | 'body' | 'error'>, stack = ''): Buffer {
  const items = new HeadWriter()
  if (answer.contentType !== undefined) items.add(Tag.contentType, answer.contentType)
  for (const [key, value] of Object.entries(answer.headers)) items.add(Tag.header, value, key)
  if (answer.error !== undefined) items.add(Tag.error, answer.error.slice(0, 4096))
  if (stack !== '') items.add(Tag.stack, stack.slice(0, 16_384))
  const head = items.bytes()
  const record = Buffer.alloc(recordSize(head.length, answer.body.length))
  record.writeUInt32LE(record.length, AT.size)
  record[AT.kind] = Kind.result
  record.writeUInt16LE(answer.status, AT.status)
  record.writeUInt32LE(head.length, AT.headLength)
  record.writeUInt32LE(answer.body.length, AT.bodyLength)
  record.set(head, RECORD_HEADER_BYTES)
  record.set(answer.body, RECORD_HEADER_BYTES + head.length)
  return record
}

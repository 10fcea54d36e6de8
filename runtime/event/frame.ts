/**
 * The batch frame: rows of one stream on their way to the hub. config/wire.ts holds its layout, docs/protocol.md tells it.
 * The agent encodes, the hub decodes; the decoder trusts no length, and a frame that unpacks to more than it may is refused
 * before it is unpacked.
 */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import {
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_ROWS_MAX,
  FRAME_ROW_HEADER_BYTES,
  FRAME_UNPACKED_BYTES_MAX,
  STREAM_NAME_PATTERN,
} from '../../config/wire.ts'
import { InputError, ProtocolError } from '../base/errors.ts'
import { AT, Kind, RECORD_ALIGN, RECORD_HEADER_BYTES } from './record.ts'

const EPOCH_PATTERN = /^[A-Za-z0-9-]{1,64}$/
const SEQ_MAX = Number.MAX_SAFE_INTEGER
/** Below this, packing costs more than it saves. */
const PACK_BYTES_MIN = 512

export interface FrameRow {
  readonly seq: number
  readonly record: Uint8Array
}

export interface Frame {
  readonly stream: string
  readonly epoch: string
  readonly rows: readonly DecodedRow[]
  /** Of the rows, unpacked: what they take in memory. */
  readonly bytes: number
}

export interface DecodedRow {
  readonly seq: number
  /** A view into the unpacked frame: a whole, checked record of kind EMIT. */
  readonly record: Buffer
}

/** `rows` in order of seq, at least one. Throws InputError when they do not fit one frame. */
export function encodeFrame(stream: string, epoch: string, rows: readonly FrameRow[], options: { compress?: boolean } = {}): Buffer {
  const first = rows[0]?.seq
  if (first === undefined) throw new InputError('frame-empty', 'Cannot send a frame without rows')
  let bytes = 0
  for (const { record } of rows) bytes += FRAME_ROW_HEADER_BYTES + record.length
  if (rows.length > FRAME_ROWS_MAX || bytes > FRAME_UNPACKED_BYTES_MAX) {
    throw new InputError('frame-too-large', `Cannot send ${rows.length} rows of ${bytes} bytes in one frame`)
  }
  const plain = Buffer.allocUnsafe(bytes)
  let at = 0
  for (const { seq, record } of rows) {
    plain.writeUInt32LE(seq - first, at)
    plain.writeUInt32LE(record.length, at + 4)
    plain.set(record, at + FRAME_ROW_HEADER_BYTES)
    at += FRAME_ROW_HEADER_BYTES + record.length
  }
  const packed = options.compress !== false && bytes >= PACK_BYTES_MIN ? zstdCompressSync(plain) : plain
  const isPacked = packed.length < plain.length
  return Buffer.concat([frameHeader(stream, epoch, first, rows.length, bytes, isPacked), isPacked ? packed : plain])
}

function frameHeader(stream: string, epoch: string, first: number, rows: number, bytes: number, isPacked: boolean): Buffer {
  const names = Buffer.from(stream + epoch)
  const header = Buffer.alloc(FRAME_HEADER_BYTES + names.length)
  header.writeUInt32LE(FRAME_MAGIC, 0)
  header[4] = isPacked ? 1 : 0
  header[5] = Buffer.byteLength(stream)
  header[6] = Buffer.byteLength(epoch)
  header.writeUInt32LE(rows, 8)
  header.writeUInt32LE(bytes, 12)
  header.writeBigUInt64LE(BigInt(first), 16)
  names.copy(header, FRAME_HEADER_BYTES)
  return header
}

/** Throws ProtocolError 'frame-invalid' on anything that is not a whole, well-formed frame. */
export function decodeFrame(payload: Buffer): Frame {
  if (payload.length < FRAME_HEADER_BYTES) throw invalid(`${payload.length} bytes are no header`)
  if (payload.readUInt32LE(0) !== FRAME_MAGIC) throw invalid('it does not start with DNB1')
  const packing = payload[4]!
  const rowCount = payload.readUInt32LE(8)
  const bytes = payload.readUInt32LE(12)
  const first = Number(payload.readBigUInt64LE(16))
  if (packing > 1 || payload[7] !== 0) throw invalid(`packing ${packing}.${payload[7]} is unknown`)
  if (rowCount < 1 || rowCount > FRAME_ROWS_MAX) throw invalid(`${rowCount} rows, expected 1 to ${FRAME_ROWS_MAX}`)
  if (bytes > FRAME_UNPACKED_BYTES_MAX) throw invalid(`${bytes} bytes unpacked, at most ${FRAME_UNPACKED_BYTES_MAX}`)
  if (first < 1 || first > SEQ_MAX - 0xffff_ffff) throw invalid(`first seq ${first}`)
  const epochAt = FRAME_HEADER_BYTES + payload[5]!
  const rowsAt = epochAt + payload[6]!
  if (rowsAt > payload.length) throw invalid('its names end behind its end')
  const stream = payload.toString('utf8', FRAME_HEADER_BYTES, epochAt)
  const epoch = payload.toString('utf8', epochAt, rowsAt)
  if (!STREAM_NAME_PATTERN.test(stream)) throw invalid(`stream name ${JSON.stringify(stream)}`)
  if (!EPOCH_PATTERN.test(epoch)) throw invalid(`epoch ${JSON.stringify(epoch)}`)
  return { stream, epoch, bytes, rows: decodeRows(unpack(payload.subarray(rowsAt), packing, bytes), rowCount, first) }
}

function unpack(packed: Buffer, packing: number, bytes: number): Buffer {
  let plain = packed
  if (packing === 1) {
    try {
      plain = zstdDecompressSync(packed, { maxOutputLength: bytes })
    } catch (cause) {
      throw invalid('it does not unpack', cause)
    }
  }
  if (plain.length !== bytes) throw invalid(`${plain.length} bytes unpacked, expected ${bytes}`)
  return plain
}

function decodeRows(plain: Buffer, rowCount: number, first: number): DecodedRow[] {
  const rows: DecodedRow[] = []
  let at = 0
  let previous = -1
  for (let i = 0; i < rowCount; i++) {
    if (at + FRAME_ROW_HEADER_BYTES > plain.length) throw invalid(`row ${i} is missing`)
    const offset = plain.readUInt32LE(at)
    const size = plain.readUInt32LE(at + 4)
    const recordAt = at + FRAME_ROW_HEADER_BYTES
    if (size > plain.length - recordAt) throw invalid(`row ${i} ends behind its end`)
    if (offset <= previous || (i === 0 && offset !== 0)) throw invalid(`row ${i} is out of order`)
    const record = plain.subarray(recordAt, recordAt + size)
    checkRecord(record, i)
    rows.push({ seq: first + offset, record })
    previous = offset
    at = recordAt + size
  }
  if (at !== plain.length) throw invalid(`${plain.length - at} bytes follow the last row`)
  return rows
}

function checkRecord(record: Buffer, row: number): void {
  if (record.length < RECORD_HEADER_BYTES || record.readUInt32LE(AT.size) !== record.length) throw invalid(`the size of record ${row}`)
  if (record[AT.kind] !== Kind.emit) throw invalid(`record ${row} is of kind ${record[AT.kind]}`)
  const used = RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength) + record.readUInt32LE(AT.bodyLength)
  if (used > record.length || record.length - used >= RECORD_ALIGN || record.length % RECORD_ALIGN !== 0)
    throw invalid(`the lengths in record ${row}`)
}

function invalid(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError('frame-invalid', `Cannot read the batch frame: ${what}`, { cause })
}

/**
 * Puts decoded frames into the database, inside the caller's transaction: each row once by (stream, seq), and with the rows which
 * seqs are now stored. After a rollback call `forget`: what is kept in memory may be ahead of the database.
 */
import type Database from 'better-sqlite3'
import { ProtocolError, ResourceError } from '../../runtime/base/errors.ts'
import type { DecodedRow, Frame } from '../../runtime/event/frame.ts'
import { findItem } from '../../runtime/event/head.ts'
import { AT, Flag, RECORD_HEADER_BYTES, Tag } from '../../runtime/event/record.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import { SeqRanges, type SeqRange } from './seq-ranges.ts'

const STREAMS_PER_DEVICE_MAX = 1000
const STREAMS_CACHED_MAX = 10_000
/** Ranges of one stream: so many gaps are no outage but a peer that invents seqs. */
const RANGES_MAX = 10_000

interface OpenStream {
  readonly id: number
  readonly ranges: SeqRanges
}

export interface Written {
  readonly stored: number
  readonly duplicates: number
}

export class EventWriter {
  readonly #database: HubDatabase
  readonly #streams = new Map<string, OpenStream>()
  readonly #insert: Database.Statement
  readonly #update: Database.Statement
  readonly #removeRange: Database.Statement
  readonly #writeRange: Database.Statement

  constructor(database: HubDatabase) {
    this.#database = database
    const { raw } = database
    this.#insert = raw.prepare(
      `INSERT INTO events (stream, seq, event_id, time_us, received_ms, replayed, content_type, head, body)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, seq) DO NOTHING`,
    )
    this.#update = raw.prepare('UPDATE streams SET stored = stored + ?, bytes = bytes + ?, max_seq = ? WHERE id = ?')
    this.#removeRange = raw.prepare('DELETE FROM stream_ranges WHERE stream = ? AND first = ?')
    this.#writeRange = raw.prepare(
      'INSERT INTO stream_ranges (stream, first, last) VALUES (?, ?, ?) ON CONFLICT (stream, first) DO UPDATE SET last = excluded.last',
    )
  }

  /** `device`: its number in the devices table. */
  write(device: number, frame: Frame, receivedMs: number): Written {
    const stream = this.#open(device, frame.stream, frame.epoch)
    let stored = 0
    let bytes = 0
    for (const row of frame.rows) {
      if (!stream.ranges.add(row.seq)) continue
      if (this.#insertRow(stream.id, row, receivedMs) === 0) continue
      stored++
      bytes += row.record.length
    }
    if (stream.ranges.count > RANGES_MAX)
      throw new ProtocolError('gaps-max', `Cannot store stream "${frame.stream}": it has more than ${RANGES_MAX} gaps`)
    if (stored > 0) this.#savePosition(stream, stored, bytes)
    return { stored, duplicates: frame.rows.length - stored }
  }

  forget(): void {
    this.#streams.clear()
  }

  #insertRow(stream: number, { seq, record }: DecodedRow, receivedMs: number): number {
    const headLength = record.readUInt32LE(AT.headLength)
    const bodyAt = RECORD_HEADER_BYTES + headLength
    const head = headLength > 0 ? record.subarray(RECORD_HEADER_BYTES, bodyAt) : null
    return this.#insert.run(
      stream,
      seq,
      record.subarray(AT.id, AT.id + 16),
      timeOf(record),
      receivedMs,
      (record[AT.flags]! & Flag.replayed) === 0 ? 0 : 1,
      (head && findItem(head, Tag.contentType)) ?? null,
      head,
      record.subarray(bodyAt, bodyAt + record.readUInt32LE(AT.bodyLength)),
    ).changes
  }

  #savePosition({ id, ranges }: OpenStream, stored: number, bytes: number): void {
    const { removed, written } = ranges.takeChanges()
    for (const first of removed) this.#removeRange.run(id, first)
    for (const { first, last } of written) this.#writeRange.run(id, first, last)
    this.#update.run(stored, bytes, ranges.max, id)
  }

  #open(device: number, name: string, epoch: string): OpenStream {
    const key = `${device} ${name} ${epoch}`
    const open = this.#streams.get(key)
    if (open) return open
    const found = this.#find(device, name, epoch) ?? this.#create(device, name, epoch)
    if (this.#streams.size >= STREAMS_CACHED_MAX) this.#streams.clear()
    this.#streams.set(key, found)
    return found
  }

  #find(device: number, name: string, epoch: string): OpenStream | undefined {
    const { query } = this.#database
    const row = this.#database.first(
      query.selectFrom('streams').select('id').where('device', '=', device).where('name', '=', name).where('epoch', '=', epoch),
    )
    if (!row) return undefined
    const ranges: SeqRange[] = this.#database.all(
      query.selectFrom('stream_ranges').select(['first', 'last']).where('stream', '=', row.id).orderBy('first'),
    )
    return { id: row.id, ranges: new SeqRanges(ranges) }
  }

  #create(device: number, name: string, epoch: string): OpenStream {
    const { query } = this.#database
    const count = this.#database.first(
      query
        .selectFrom('streams')
        .select(({ fn }) => fn.countAll<number>().as('n'))
        .where('device', '=', device),
    )
    if (count && count.n >= STREAMS_PER_DEVICE_MAX)
      throw new ResourceError('streams-max', `Cannot open stream "${name}": the device has ${STREAMS_PER_DEVICE_MAX}`)
    const { lastId } = this.#database.run(query.insertInto('streams').values({ device, name, epoch, stored: 0, bytes: 0, max_seq: 0 }))
    return { id: lastId, ranges: new SeqRanges() }
  }
}

/** Microseconds; a clock beyond what a number holds exactly is cut there. */
function timeOf(record: Buffer): number {
  return Math.min(Number.MAX_SAFE_INTEGER, record.readUInt32LE(AT.timeUs) + record.readUInt32LE(AT.timeUs + 4) * 0x1_0000_0000)
}

/**
 * Events as the API gives them out.
 *
 * Without a stream, or without a device, they come in the order of receipt; with both, in the order of the stream (epoch after
 * epoch). `follow` gives the newest first page, and then what comes, in the order of receipt. A page is bounded in rows, in bytes and in rows looked at, so it may be short or empty while `next` still moves on.
 */
import { isUtf8 } from 'node:buffer'
import { InputError } from '../../runtime/base/errors.ts'
import { itemsOf } from '../../runtime/event/head.ts'
import { Tag } from '../../runtime/event/record.ts'
import { uuidText } from '../../runtime/base/uuid.ts'
import type { HubDatabase } from '../database/hub-database.ts'

const PAGE_BYTES_MAX = 8 * 1024 * 1024
const ROWS_LOOKED_AT_MAX = 50_000

export interface EventQuery {
  readonly device: string | null
  readonly stream: string | null
  /** What the page before said as `next`; null: from the start. */
  readonly after: string | null
  readonly limit: number
  /** The newest rows, and `next` is never null: it is where those begin that come later. */
  readonly follow?: boolean
}

export interface EventPage {
  readonly events: readonly object[]
  /** Where to go on; null: this is all there is. */
  readonly next: string | null
}

interface Row {
  id: number
  stream: number
  seq: number
  event_id: Buffer
  time_us: number
  received_ms: number
  replayed: number
  content_type: string | null
  head: Buffer | null
  body: Buffer
  device: string
  name: string
  epoch: string
}

export class EventReader {
  readonly #database: HubDatabase

  constructor(database: HubDatabase) {
    this.#database = database
  }

  read(asked: EventQuery): EventPage {
    if (asked.follow) return asked.after === null ? this.#newest(asked) : this.#byReceipt(asked)
    return asked.device !== null && asked.stream !== null ? this.#ofStream(asked) : this.#byReceipt(asked)
  }

  #byReceipt({ device, stream, after, limit, follow }: EventQuery): EventPage {
    const from = cursor(after ?? '0', 1)[0]!
    const newest = this.#newestId()
    const until = Math.min(newest, from + ROWS_LOOKED_AT_MAX)
    let query = this.#select().where('events.id', '>', from).where('events.id', '<=', until)
    if (device !== null) query = query.where('devices.id', '=', device)
    if (stream !== null) query = query.where('streams.name', '=', stream)
    const rows = this.#database.all(query.orderBy('events.id').limit(limit))
    const page = cut(rows)
    const isWhole = page.length === rows.length && rows.length < limit
    // A store that was put back from a backup may be behind what was followed.
    const last = isWhole ? Math.max(from, until) : page.at(-1)!.id
    return { events: page.map(eventOf), next: isWhole && last >= newest && !follow ? null : String(last) }
  }

  /** Of each stream that is meant its newest rows, by index, and of those the newest: a rare stream is found among many rows of others. */
  #newest({ device, stream, limit }: EventQuery): EventPage {
    const newest = this.#newestId()
    const newestRows = (ofStream: number | null) => {
      const query = this.#select()
      if (ofStream === null) return this.#database.all(query.orderBy('events.id', 'desc').limit(limit))
      return this.#database.all(query.where('events.stream', '=', ofStream).orderBy('events.seq', 'desc').limit(limit))
    }
    const rows = device === null && stream === null ? newestRows(null) : this.#streamsOf(device, stream).flatMap(newestRows)
    const page = cut(rows.sort((a, b) => b.id - a.id).slice(0, limit)).toReversed()
    return { events: page.map(eventOf), next: String(newest) }
  }

  #newestId(): number {
    return this.#database.first(this.#database.query.selectFrom('events').select(({ fn }) => fn.max('id').as('id')))?.id ?? 0
  }

  #streamsOf(device: string | null, stream: string | null): number[] {
    let query = this.#database.query.selectFrom('streams').innerJoin('devices', 'devices.num', 'streams.device').select('streams.id as num')
    if (device !== null) query = query.where('devices.id', '=', device)
    if (stream !== null) query = query.where('streams.name', '=', stream)
    return this.#database.all(query).map(({ num }) => num)
  }

  #ofStream({ device, stream, after, limit }: EventQuery): EventPage {
    const [epoch, seq] = cursor(after ?? '0.0', 2) as [number, number]
    const query = this.#select()
      .where('devices.id', '=', device)
      .where('streams.name', '=', stream)
      .where((eb) => eb.or([eb('events.stream', '>', epoch), eb.and([eb('events.stream', '=', epoch), eb('events.seq', '>', seq)])]))
      .orderBy('events.stream')
      .orderBy('events.seq')
    const rows = this.#database.all(query.limit(limit))
    const page = cut(rows)
    const last = page.at(-1)
    const isWhole = page.length === rows.length && rows.length < limit
    return { events: page.map(eventOf), next: isWhole || !last ? null : `${last.stream}.${last.seq}` }
  }

  #select() {
    return this.#database.query
      .selectFrom('events')
      .innerJoin('streams', 'streams.id', 'events.stream')
      .innerJoin('devices', 'devices.num', 'streams.device')
      .select(['events.id', 'events.stream', 'events.seq', 'events.event_id', 'events.time_us', 'events.received_ms'])
      .select([
        'events.replayed',
        'events.content_type',
        'events.head',
        'events.body',
        'devices.id as device',
        'streams.name',
        'streams.epoch',
      ])
      .$castTo<Row>()
  }
}

/** At least one row, and no more than a page may hold. */
function cut(rows: readonly Row[]): readonly Row[] {
  let bytes = 0
  const end = rows.findIndex((row, i) => (bytes += row.body.length) > PAGE_BYTES_MAX && i > 0)
  return end < 0 ? rows : rows.slice(0, end)
}

function eventOf(row: Row): object {
  return {
    device: row.device,
    stream: row.name,
    epoch: row.epoch,
    seq: row.seq,
    id: uuidText(row.event_id),
    time: isoOf(row.time_us / 1000),
    receivedAt: isoOf(row.received_ms),
    contentType: row.content_type,
    headers: row.head ? itemsOf(row.head, Tag.header) : {},
    replayed: row.replayed === 1,
    ...(isUtf8(row.body) ? { body: row.body.toString() } : { bodyBase64: row.body.toString('base64') }),
  }
}

/** null: the device's clock said something that is no date. */
function isoOf(ms: number): string | null {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

function cursor(text: string, parts: number): number[] {
  const numbers = text.split('.').map(Number)
  if (numbers.length !== parts || !numbers.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw new InputError('query-invalid', `Cannot use after=${text}: expected what "next" said for the same device and stream`)
  }
  return numbers
}

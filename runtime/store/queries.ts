import type { Database, Statement } from 'better-sqlite3'
import type { Account, LedgerBook } from './ledger-book.ts'
import type { Ledger, LedgerRow } from './store.ts'
import { SEQ_SPAN } from './limits.ts'
import type { Answers, PackedRows, Query } from './messages.ts'
import { RowPacker } from './row-pack.ts'

/** Everything that is asked of the store and changes nothing. */
export class Queries {
  readonly #db: Database
  readonly #book: LedgerBook
  readonly #s: ReturnType<typeof prepare>

  constructor(db: Database, book: LedgerBook) {
    this.#db = db
    this.#book = book
    this.#s = prepare(db)
  }

  answer(query: Exclude<Query, { ask: 'open' }>): Answers[keyof Answers] {
    switch (query.ask) {
      case 'inbox': {
        const base = query.source * SEQ_SPAN
        return this.#rows(this.#s.inbox, Math.max(query.after, base), base + SEQ_SPAN, 0, query.rows, query.bytes)
      }
      case 'stream': {
        const base = query.stream * SEQ_SPAN
        return this.#rows(
          this.#s.stream,
          base + query.first - 1,
          base + Math.min(query.last, SEQ_SPAN - 1) + 1,
          base,
          query.rows,
          query.bytes,
        )
      }
      case 'state':
        return this.#s.state.get(query.fn, query.key) as Buffer | undefined
      case 'value':
        return this.#s.value.get(query.key) as string | undefined
      case 'ledger':
        return this.#ledger()
      case 'deadLetters':
        return this.#s.letters.all(query.before, query.limit) as Answers['deadLetters']
      default:
        return query satisfies never
    }
  }

  /** Rows with after < id < end; at least one if there is any, then until `rows` or `bytes` is reached. */
  #rows(statement: Statement, after: number, end: number, base: number, rows: number, bytes: number): PackedRows {
    const packer = new RowPacker()
    let count = 0
    for (const row of statement.iterate(after, end, rows) as IterableIterator<[number, number, Buffer]>) {
      if (count > 0 && packer.used + row[2].length > bytes) break
      packer.push(row[0] - base, row[1], row[2])
      count++
    }
    return packer.take()
  }

  #ledger(): Ledger {
    const pages = this.#s.pages.get() as number
    const free = this.#s.free.get() as number
    const pageBytes = this.#db.pragma('page_size', { simple: true }) as number
    const maxPages = this.#db.pragma('max_page_count', { simple: true }) as number
    return {
      sources: this.#book.sources.filter((a) => a !== undefined).map((a) => this.#row(a, this.#s.countInbox)),
      streams: this.#book.streams
        .filter((a) => a !== undefined)
        .map((a) => {
          const first = this.#s.firstStream.get(a.id * SEQ_SPAN, (a.id + 1) * SEQ_SPAN) as number | null
          return { ...this.#row(a, this.#s.countStream), firstWaiting: first === null ? a.lastSeq + 1 : first - a.id * SEQ_SPAN }
        }),
      bytesUsed: (pages - free) * pageBytes,
      bytesMax: maxPages * pageBytes,
    }
  }

  #row(a: Account, count: Statement): LedgerRow {
    const waiting = count.get(a.id * SEQ_SPAN, (a.id + 1) * SEQ_SPAN) as number
    const { name, epoch, lastSeq, accepted, delivered, expired, evicted, rejected, dead, salvaged } = a
    const balanced = accepted === delivered + waiting + expired + evicted + dead
    return { name, epoch, lastSeq, accepted, delivered, waiting, expired, evicted, rejected, dead, salvaged, balanced }
  }
}

function prepare(db: Database) {
  return {
    inbox: db.prepare('SELECT id, attempt, record FROM inbox WHERE id > ? AND id < ? ORDER BY id LIMIT ?').raw(),
    stream: db.prepare('SELECT id, 0, record FROM stream WHERE id > ? AND id < ? ORDER BY id LIMIT ?').raw(),
    firstStream: db.prepare('SELECT min(id) FROM stream WHERE id > ? AND id < ?').pluck(),
    countInbox: db.prepare('SELECT count(*) FROM inbox WHERE id > ? AND id < ?').pluck(),
    countStream: db.prepare('SELECT count(*) FROM stream WHERE id > ? AND id < ?').pluck(),
    state: db.prepare('SELECT value FROM state WHERE function = ? AND key = ?').pluck(),
    value: db.prepare('SELECT value FROM "values" WHERE key = ?').pluck(),
    letters: db.prepare(
      `SELECT d.id, coalesce(n.name, 'source ' || d.source) AS source, time_ms AS timeMs, function, version, error, stack, attempts, record
       FROM dead_letters d LEFT JOIN names n ON n.kind = 'source' AND n.id = d.source WHERE d.id < ? ORDER BY d.id DESC LIMIT ?`,
    ),
    pages: db.prepare('PRAGMA page_count').pluck(),
    free: db.prepare('PRAGMA freelist_count').pluck(),
  }
}

import type { Database } from 'better-sqlite3'
import type { Account, LedgerBook } from './ledger-book.ts'
import type { DeadLetterReason } from './store.ts'
import { PAGE_BYTES, SEQ_SPAN } from './limits.ts'
import { Op, Outcome } from './step-batch.ts'
import type { StepReader } from './step-batch.ts'

/** What SQLite keeps beside a small record in its page, and a margin for pages that are not quite full. */
const ROW_OVERHEAD_BYTES = 48
/** What a page holds besides its own bookkeeping. */
export const PAGE_ROOM_BYTES = PAGE_BYTES - 196

/** Bytes of pages that a record takes: small ones share a page, larger ones fill pages of their own. */
function footprint(recordBytes: number): number {
  const bytes = recordBytes + ROW_OVERHEAD_BYTES
  return bytes * 2 <= PAGE_ROOM_BYTES ? bytes : Math.ceil(bytes / PAGE_ROOM_BYTES) * PAGE_ROOM_BYTES
}

/**
 * Runs steps inside the caller's transaction. A step that must fail is found out before it changes anything, so there are no
 * savepoints; whatever SQLite throws ends the whole transaction.
 */
export class StepRunner {
  readonly #book: LedgerBook
  readonly #s: Statements
  readonly #now: () => number

  constructor(db: Database, book: LedgerBook, now: () => number = Date.now) {
    this.#book = book
    this.#s = prepare(db)
    this.#now = now
  }

  /**
   * Runs the step at the reader's entry and leaves the reader at its last entry.
   * `room`: bytes that accepting may still take; returns the bytes it took.
   */
  run(reader: StepReader, room: number): number {
    switch (reader.op) {
      case Op.accept:
        return this.#accept(reader, room)
      case Op.begin:
        this.#settle(reader)
        return 0
      case Op.retryLater:
        this.#s.setAttempt.run(reader.attempt, reader.value)
        return 0
      case Op.bury:
        this.#bury(reader)
        return 0
      case Op.release:
        this.#release(reader)
        return 0
      case Op.setValue:
        this.#s.putValue.run(reader.key, Buffer.from(reader.payload).toString())
        return 0
      case Op.deleteValue:
        this.#s.dropValue.run(reader.key)
        return 0
      case Op.replay:
        this.#replay(reader)
        return 0
      case Op.move:
        this.#move(reader)
        return 0
      default:
        throw new Error(`Step batch holds op ${reader.op} at ${reader.at}`)
    }
  }

  #accept(reader: StepReader, room: number): number {
    const account = this.#book.sources[reader.number]
    if (account === undefined) {
      reader.answer(Outcome.invalid, 0)
      return 0
    }
    const bytes = footprint(reader.payloadLength)
    if (bytes > room) {
      this.#book.reject(account)
      reader.answer(Outcome.storeFull, 0)
      return 0
    }
    reader.answer(Outcome.done, this.#keep(account, reader.payload))
    return bytes
  }

  /** Inserts into the inbox; returns the id. */
  #keep(account: Account, record: Uint8Array): number {
    this.#book.touch(account)
    const id = account.id * SEQ_SPAN + ++account.lastSeq
    account.accepted++
    this.#s.insertInbox.run(id, record)
    return id
  }

  #settle(reader: StepReader): void {
    const beginAt = reader.at
    const source = this.#book.sources[reader.number]
    const inboxId = reader.value
    const refusal = source === undefined ? Outcome.invalid : this.#whyNot(reader)
    if (refusal !== Outcome.done) {
      reader.moveTo(beginAt)
      const gone = inboxId !== 0 && this.#s.hasInbox.get(inboxId) === undefined
      skipToEnd(reader)
      reader.answer(gone && refusal === Outcome.streamFull ? Outcome.unchanged : refusal, 0)
      return
    }
    reader.moveTo(beginAt)
    if (inboxId !== 0 && this.#s.deleteInbox.run(inboxId).changes === 0) {
      skipToEnd(reader)
      reader.answer(Outcome.unchanged, 0)
      return
    }
    this.#book.touch(source!)
    if (inboxId === 0) direct(source!)
    source!.delivered++
    while (reader.next() && reader.op !== Op.end) this.#change(reader)
    reader.answer(Outcome.done, 0)
  }

  #change(reader: StepReader): void {
    if (reader.op === Op.emit) this.#emit(this.#book.streams[reader.number]!, reader.payload)
    else if (reader.op === Op.setState) this.#s.putState.run(reader.number, reader.key, reader.payload)
    else this.#s.dropState.run(reader.number, reader.key)
  }

  #emit(stream: Account, record: Uint8Array): void {
    this.#book.touch(stream)
    this.#s.insertStream.run(stream.id * SEQ_SPAN + ++stream.lastSeq, record)
    stream.accepted++
    stream.bytes += record.length
  }

  /** Looks through a step without changing anything. */
  #whyNot(reader: StepReader): Outcome {
    let added: Map<Account, number> | undefined
    while (reader.next() && reader.op !== Op.end) {
      if (reader.op !== Op.emit) continue
      const stream = this.#book.streams[reader.number]
      if (stream === undefined) return Outcome.invalid
      if (stream.maxBytes === 0) continue
      added ??= new Map()
      const bytes = (added.get(stream) ?? 0) + reader.payloadLength
      added.set(stream, bytes)
      if (stream.bytes + bytes > stream.maxBytes) {
        this.#book.reject(stream)
        return Outcome.streamFull
      }
    }
    return Outcome.done
  }

  #bury(reader: StepReader): void {
    const source = this.#book.sources[reader.number]
    const inboxId = reader.value
    if (source === undefined) return reader.answer(Outcome.invalid, 0)
    const r = JSON.parse(reader.key) as DeadLetterReason
    const columns = [source.id, this.#now(), r.function, r.version, r.error, r.stack, r.attempts] as const
    if (inboxId === 0) {
      this.#s.buryDirect.run(...columns, reader.payload)
    } else {
      if (this.#s.buryInbox.run(...columns, inboxId).changes === 0) return reader.answer(Outcome.unchanged, 0)
      this.#s.deleteInbox.run(inboxId)
    }
    this.#book.touch(source)
    if (inboxId === 0) direct(source)
    source.dead++
    reader.answer(Outcome.done, 0)
  }

  #release(reader: StepReader): void {
    const stream = this.#book.streams[reader.number]
    if (stream === undefined) return reader.answer(Outcome.invalid, 0)
    const base = stream.id * SEQ_SPAN
    const first = base + Math.max(1, reader.value)
    const last = base + Math.min(SEQ_SPAN - 1, reader.second)
    const { bytes } = this.#s.weighStream.get(first, last) as { bytes: number }
    const rows = this.#s.deleteStream.run(first, last).changes
    if (rows > 0) {
      this.#book.touch(stream)
      stream.delivered += rows
      stream.bytes -= bytes
    }
    reader.answer(Outcome.done, rows)
  }

  #replay(reader: StepReader): void {
    const letter = this.#s.getLetter.get(reader.value) as { source: number; record: Buffer } | undefined
    const source = letter === undefined ? undefined : this.#book.sources[letter.source]
    if (letter === undefined || source === undefined) return reader.answer(Outcome.unchanged, 0)
    this.#s.deleteLetter.run(reader.value)
    reader.answer(Outcome.done, this.#keep(source, letter.record))
  }

  /**
   * The oldest rows of one source become the newest of another. An event is accepted once and counted where it waits: what the one
   * loses of `accepted`, the other gains.
   */
  #move(reader: StepReader): void {
    const from = this.#book.sources[reader.number]
    const to = this.#book.sources[reader.value]
    if (from === undefined || to === undefined || from === to) return reader.answer(Outcome.invalid, 0)
    const base = from.id * SEQ_SPAN
    const ids = this.#s.idsOfInbox.all(base, base + SEQ_SPAN, reader.second) as number[]
    if (ids.length > 0) {
      this.#book.touch(from)
      this.#book.touch(to)
    }
    for (const id of ids) this.#s.moveInbox.run(to.id * SEQ_SPAN + ++to.lastSeq, id)
    from.accepted -= ids.length
    to.accepted += ids.length
    reader.answer(Outcome.done, ids.length)
  }
}

/** An event that never was in the inbox is accepted and ended in one step. */
function direct(source: Account): void {
  source.lastSeq++
  source.accepted++
}

/** Moves to the last entry of the step. */
export function skipToEnd(reader: StepReader): void {
  while (reader.op !== Op.end && reader.next());
}

type Statements = ReturnType<typeof prepare>

function prepare(db: Database) {
  const letter = 'INSERT INTO dead_letters (source, time_ms, function, version, error, stack, attempts, record)'
  return {
    insertInbox: db.prepare('INSERT INTO inbox VALUES (?, 0, ?)'),
    hasInbox: db.prepare('SELECT 1 FROM inbox WHERE id = ?'),
    deleteInbox: db.prepare('DELETE FROM inbox WHERE id = ?'),
    idsOfInbox: db.prepare('SELECT id FROM inbox WHERE id > ? AND id < ? ORDER BY id LIMIT ?').pluck(),
    moveInbox: db.prepare('UPDATE inbox SET id = ? WHERE id = ?'),
    setAttempt: db.prepare('UPDATE inbox SET attempt = ? WHERE id = ?'),
    insertStream: db.prepare('INSERT INTO stream VALUES (?, ?)'),
    weighStream: db.prepare('SELECT coalesce(sum(length(record)), 0) AS bytes FROM stream WHERE id BETWEEN ? AND ?'),
    deleteStream: db.prepare('DELETE FROM stream WHERE id BETWEEN ? AND ?'),
    putState: db.prepare('INSERT OR REPLACE INTO state VALUES (?, ?, ?)'),
    dropState: db.prepare('DELETE FROM state WHERE function = ? AND key = ?'),
    putValue: db.prepare('INSERT OR REPLACE INTO "values" VALUES (?, ?)'),
    dropValue: db.prepare('DELETE FROM "values" WHERE key = ?'),
    buryInbox: db.prepare(`${letter} SELECT ?, ?, ?, ?, ?, ?, ?, record FROM inbox WHERE id = ?`),
    buryDirect: db.prepare(`${letter} VALUES (?, ?, ?, ?, ?, ?, ?, ?)`),
    getLetter: db.prepare('SELECT source, record FROM dead_letters WHERE id = ?'),
    deleteLetter: db.prepare('DELETE FROM dead_letters WHERE id = ?'),
  }
}

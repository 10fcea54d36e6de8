import fs from 'node:fs'
import type { Database, Statement } from 'better-sqlite3'
import { Ballast } from './ballast.ts'
import { paths } from './database.ts'
import { makePrivateFolder } from '../base/durable-file.ts'
import { LedgerBook, numberOf } from './ledger-book.ts'
import { budgetFor } from './limits.ts'
import type { Budget } from './limits.ts'
import { lockDataDir } from './lock.ts'
import type { Answers, FromThread, OpenReport, Query, ThreadOptions } from './messages.ts'
import { openOrRecover } from './open-database.ts'
import { Queries } from './queries.ts'
import { Op, Outcome, StepReader } from './step-batch.ts'
import { isBusy, isDamage, isFull, storeFull } from './store-errors.ts'
import { PAGE_ROOM_BYTES, skipToEnd, StepRunner } from './step-runner.ts'

type Notice = Extract<FromThread, { kind: 'notice' }>
/** Bytes that accepting may take; asked inside the transaction. */
type Room = () => number
const NO_ROOM: Room = () => 0

/**
 * The store itself, on its thread. What stays true: an outcome `done` was committed and synced; a batch that failed changed
 * nothing; an error of the disk (anything but full and busy) is passed on and nothing is tried after it.
 */
export class Engine {
  readonly boot: number
  readonly report: OpenReport
  readonly #db: Database
  readonly #book: LedgerBook
  readonly #steps: StepRunner
  readonly #queries: Queries
  readonly #ballast: Ballast
  readonly #budget: Budget
  #diskFull = false
  readonly #suspectFile: string
  readonly #notice: (notice: Notice) => void
  readonly #unlock: () => void
  readonly #s: {
    begin: Statement
    commit: Statement
    rollback: Statement
    pages: Statement
    free: Statement
    wal: Statement
    checkpoint: Statement
  }

  constructor(options: ThreadOptions, notice: (notice: Notice) => void) {
    makePrivateFolder(options.dataDir)
    const p = paths(options.dataDir)
    const lock = lockDataDir(options.dataDir)
    this.#unlock = () => lock.release()
    this.#notice = notice
    this.#suspectFile = p.suspect
    this.#budget = budgetFor(Math.min(options.maxBytes, largestOn(options.dataDir)))
    this.#ballast = new Ballast(p.ballast, options.dataDir, this.#budget.ballastBytes, options.ballastRetryMs)
    this.#ballast.restore()
    try {
      const { db, report } = this.#withRoom(() => openOrRecover(options.dataDir, this.#budget.maxPages))
      this.#db = db
      this.report = report
      this.#s = {
        begin: db.prepare('BEGIN IMMEDIATE'),
        commit: db.prepare('COMMIT'),
        rollback: db.prepare('ROLLBACK'),
        pages: db.prepare('PRAGMA page_count').pluck(),
        free: db.prepare('PRAGMA freelist_count').pluck(),
        wal: db.prepare('PRAGMA wal_checkpoint(NOOP)').raw(),
        checkpoint: db.prepare('PRAGMA wal_checkpoint(PASSIVE)').raw(),
      }
      this.#book = new LedgerBook(db)
      this.#steps = new StepRunner(db, this.#book)
      this.#queries = new Queries(db, this.#book)
      this.boot = this.#withRoom(() => this.#start())
    } catch (error) {
      this.#unlock()
      throw error
    }
  }

  /**
   * Runs batches as ONE transaction and writes each outcome into them. Without room for all of them, each is tried alone.
   * Throws when the disk failed: then nothing of the batch that met it, and of those after it, was kept.
   */
  runBatches(batches: readonly { readonly buffer: ArrayBuffer; readonly used: number }[]): void {
    if (this.#diskFull || !this.#ballast.isWhole) this.#lookForRoom()
    const readers = batches.map(({ buffer, used }) => new StepReader(buffer, used))
    const error = this.#try(readers, this.#room)
    if (error === null) return
    if (readers.length === 1) return this.#runWithoutRoom(readers[0]!, error)
    for (const reader of readers) {
      const alone = this.#try([reader], this.#room)
      if (alone !== null) this.#runWithoutRoom(reader, alone)
    }
  }

  /** What can be done after the batch was answered: an acknowledgement does not wait for it, and its failure does not take one back. */
  tidy(): void {
    this.#checkpoint()
  }

  answer(query: Query): Answers[keyof Answers] {
    if (query.ask === 'open') return this.#withRoom(() => this.#open(query))
    return this.#queries.answer(query)
  }

  /** After this open, the whole file is looked through. */
  noteDamage(error: unknown): void {
    if (isDamage(error)) fs.writeFileSync(this.#suspectFile, `${(error as Error).message}\n`)
  }

  close(): void {
    try {
      if (this.#db.open) {
        this.#writeRejections()
        this.#db.close()
      }
    } finally {
      this.#unlock()
    }
  }

  /** Refusals are counted without a commit of their own; on a full disk the count of this run may be lost here. */
  #writeRejections(): void {
    try {
      this.#db.transaction(() => this.#book.writeAll()).immediate()
    } catch (error) {
      if (!isFull(error) && !isBusy(error)) throw error
    }
  }

  #lookForRoom(): void {
    if (!this.#ballast.restore() || !this.#diskFull) return
    this.#diskFull = false
    this.#notice({ kind: 'notice', level: 'info', message: 'Disk has room again', fields: {} })
  }

  #start(): number {
    return this.#db
      .transaction(() => {
        const raised = this.#book.raiseToRows(this.#db)
        for (const account of raised) {
          this.#book.touch(account)
          this.#notice({
            kind: 'notice',
            level: 'warn',
            message: 'Ledger was behind its rows',
            fields: { kind: account.kind, name: account.name },
          })
        }
        this.#book.write()
        this.#book.keep()
        this.#db.prepare("UPDATE meta SET value = value + 1 WHERE key = 'boot'").run()
        return this.#db.prepare("SELECT value FROM meta WHERE key = 'boot'").pluck().get() as number
      })
      .immediate()
  }

  #open({ kind, name, maxBytes }: Extract<Query, { ask: 'open' }>): number {
    const { id, isNew } = this.#db.transaction(() => numberOf(this.#db, kind, name)).immediate()
    if (kind === 'function') return id
    if (isNew) {
      const zero = { lastSeq: 0, accepted: 0, delivered: 0, expired: 0, evicted: 0, rejected: 0, dead: 0, salvaged: 0, bytes: 0 }
      this.#book.add({ kind, id, name, epoch: this.report.epoch, ...zero, maxBytes: 0, before: null })
    }
    if (kind === 'stream') this.#book.streams[id]!.maxBytes = maxBytes
    return id
  }

  /** What is free, less the pages that settling must always find. */
  readonly #room: Room = () => {
    if (this.#diskFull) return 0
    const free = this.#budget.maxPages - (this.#s.pages.get() as number) + (this.#s.free.get() as number)
    return (free - this.#budget.reservePages) * PAGE_ROOM_BYTES
  }

  /**
   * Accepting is refused and the rest tried again: as it is, then with piece after piece of the ballast, at last one by one.
   * While the disk is short nothing is accepted, so that the ballast's room goes to what ends events.
   */
  #runWithoutRoom(reader: StepReader, first: unknown): void {
    if (isBusy(first)) return this.#answerAll(reader, Outcome.storeBusy)
    if (!this.#diskFull && this.#ballast.diskIsShort()) {
      this.#diskFull = true
      this.#notice({ kind: 'notice', level: 'warn', message: 'Disk is full: accepting no events until there is room', fields: {} })
    }
    // An emptied WAL is written from its start again, in blocks that it has.
    this.#checkpointNow()
    do {
      if (this.#try([reader], NO_ROOM) === null) return
    } while (this.#ballast.release())
    for (let at = 0; at < reader.used;) {
      reader.moveTo(at)
      const step = this.#stepAt(reader)
      const error = this.#try([step], NO_ROOM)
      if (error !== null) this.#answerAll(step, isBusy(error) ? Outcome.storeBusy : Outcome.storeFull)
      at = step.used
    }
  }

  /** Runs what the readers hold in one transaction. Full and busy come back; every other error is thrown. Nothing was kept then. */
  #try(readers: readonly StepReader[], roomNow: Room): unknown {
    try {
      this.#s.begin.run()
      let room = roomNow()
      for (const reader of readers) {
        reader.rewind()
        while (reader.next()) room -= this.#steps.run(reader, room)
      }
      this.#book.write()
      this.#s.commit.run()
      this.#book.keep()
      return null
    } catch (error) {
      this.#book.undo()
      if (this.#db.inTransaction) this.#s.rollback.run()
      if (isFull(error) || isBusy(error)) return error
      throw error
    }
  }

  #stepAt(reader: StepReader): StepReader {
    const from = reader.at
    if (reader.op === Op.begin) skipToEnd(reader)
    return reader.part(from)
  }

  #answerAll(reader: StepReader, outcome: Outcome): void {
    reader.rewind()
    while (reader.next()) {
      reader.answer(outcome, 0)
      if (reader.op !== Op.accept) continue
      const account = this.#book.sources[reader.number]
      if (account !== undefined) this.#book.reject(account)
    }
    this.#book.keep()
  }

  #checkpoint(): void {
    const [, frames] = this.#s.wal.get() as [number, number, number]
    if (frames >= this.#budget.checkpointPages) this.#checkpointNow()
  }

  /** Our own checkpoint, so that a failed fsync in it is heard of. A full disk only postpones it. */
  #checkpointNow(): void {
    try {
      this.#s.checkpoint.get()
    } catch (error) {
      if (!isFull(error) && !isBusy(error)) throw error
    }
  }

  #withRoom<T>(act: () => T): T {
    for (;;) {
      try {
        return act()
      } catch (error) {
        if (!isFull(error)) throw error
        if (!this.#ballast.release()) throw storeFull()
      }
    }
  }
}

/** The store takes at most this share of the file system it lies on: with less to spare it could never be whole again after others filled it. */
const DISK_SHARE_MAX = 0.75

function largestOn(dataDir: string): number {
  const { blocks, bsize } = fs.statfsSync(dataDir)
  return Math.floor(blocks * bsize * DISK_SHARE_MAX)
}

import type { Database, Statement } from 'better-sqlite3'
import { InputError } from '../base/errors.ts'
import { NUMBERS_MAX, SEQ_SPAN } from './limits.ts'

/** Counters of one source or stream: the whole truth while the thread runs, written once a transaction. */
export interface Account {
  readonly kind: 'source' | 'stream'
  readonly id: number
  readonly name: string
  readonly epoch: string
  lastSeq: number
  accepted: number
  delivered: number
  expired: number
  evicted: number
  rejected: number
  dead: number
  salvaged: number
  /** Bytes of waiting records (streams). */
  bytes: number
  /** 0: no quota of its own. Not stored: the owner says it at every open. */
  maxBytes: number
  /** The counters before the running transaction, while there is one that touched them. */
  before: number[] | null
}

/**
 * The ledger in memory. `touch` before changing an account inside a transaction; `write` before the commit; then `keep`
 * after the commit or `undo` after a rollback. `reject` costs no write: the count goes out with the account's next change,
 * so that refusing needs no room on a full disk.
 */
export class LedgerBook {
  readonly sources: (Account | undefined)[] = []
  readonly streams: (Account | undefined)[] = []
  #touched: Account[] = []
  #refused: Account[] = []
  readonly #update: Statement

  constructor(db: Database) {
    this.#update = db.prepare(
      `UPDATE ledger SET last_seq = ?, accepted = ?, delivered = ?, expired = ?, evicted = ?, dead = ?, salvaged = ?, bytes = ?, rejected = ?
       WHERE kind = ? AND id = ?`,
    )
    const rows = db
      .prepare(
        `SELECT kind, id, name, epoch, last_seq AS lastSeq, accepted, delivered, expired, evicted, rejected, dead, salvaged, bytes
         FROM ledger JOIN names USING (kind, id)`,
      )
      .all() as Omit<Account, 'before' | 'maxBytes'>[]
    for (const row of rows) this.add({ ...row, maxBytes: 0, before: null })
  }

  add(account: Account): void {
    ;(account.kind === 'source' ? this.sources : this.streams)[account.id] = account
  }

  touch(account: Account): void {
    if (account.before !== null) return
    account.before = counters(account)
    this.#touched.push(account)
  }

  reject(account: Account): void {
    this.#refused.push(account)
  }

  write(): void {
    for (const account of this.#touched) this.#write(account)
  }

  writeAll(): void {
    for (const account of [...this.sources, ...this.streams]) if (account !== undefined) this.#write(account)
  }

  keep(): void {
    for (const account of this.#refused) account.rejected++
    this.#refused.length = 0
    for (const account of this.#touched) account.before = null
    this.#touched.length = 0
  }

  undo(): void {
    this.#refused.length = 0
    for (const account of this.#touched) {
      const b = account.before!
      account.lastSeq = b[0]!
      account.accepted = b[1]!
      account.delivered = b[2]!
      account.expired = b[3]!
      account.evicted = b[4]!
      account.dead = b[5]!
      account.salvaged = b[6]!
      account.bytes = b[7]!
      account.before = null
    }
    this.#touched.length = 0
  }

  #write(account: Account): void {
    this.#update.run(...counters(account), account.rejected, account.kind, account.id)
  }

  /** The last line against giving an id twice: a ledger older than its rows (a lost page) is raised to them. Returns what was raised. */
  raiseToRows(db: Database): Account[] {
    const raised: Account[] = []
    for (const account of [...this.sources, ...this.streams]) {
      if (account === undefined) continue
      const table = account.kind === 'source' ? 'inbox' : 'stream'
      const base = account.id * SEQ_SPAN
      const last = db
        .prepare(`SELECT max(id) FROM ${table} WHERE id > ? AND id < ?`)
        .pluck()
        .get(base, base + SEQ_SPAN) as number | null
      if (last === null || last - base <= account.lastSeq) continue
      account.lastSeq = last - base
      raised.push(account)
    }
    return raised
  }
}

function counters(a: Account): number[] {
  return [a.lastSeq, a.accepted, a.delivered, a.expired, a.evicted, a.dead, a.salvaged, a.bytes]
}

/** The number of a name, made when it is new; inside the caller's transaction. */
export function numberOf(db: Database, kind: 'source' | 'stream' | 'function', name: string): { id: number; isNew: boolean } {
  const known = db.prepare('SELECT id FROM names WHERE kind = ? AND name = ?').pluck().get(kind, name) as number | undefined
  if (known !== undefined) return { id: known, isNew: false }
  const id = ((db.prepare('SELECT max(id) FROM names WHERE kind = ?').pluck().get(kind) as number | null) ?? 0) + 1
  if (id > NUMBERS_MAX) throw new InputError('store-too-many-names', `Cannot open ${kind} "${name}": there are ${NUMBERS_MAX} already`)
  db.prepare('INSERT INTO names VALUES (?, ?, ?)').run(kind, id, name)
  if (kind !== 'function') {
    const epoch = db.prepare("SELECT value FROM meta WHERE key = 'epoch'").pluck().get() as string
    db.prepare('INSERT INTO ledger (kind, id, epoch) VALUES (?, ?, ?)').run(kind, id, epoch)
  }
  return { id, isNew: true }
}

import fs from 'node:fs'
import Database from 'better-sqlite3'
import { SEQ_SPAN } from './limits.ts'
import type { Salvaged } from './messages.ts'

const ROWS_PER_COMMIT = 5000

export interface SalvageResult {
  readonly salvaged: Salvaged
  readonly lost: number | null
}

/**
 * Carries what still reads from a damaged database into a new one. Each table is read forwards until it fails, then
 * backwards until it fails or meets the rows it has. Sources, streams and functions keep their numbers; rows get new seqs,
 * because the new database is a new epoch. A row may come back that had been settled before: at least once, never silently lost.
 */
export function salvage(damagedFile: string, target: Database.Database): SalvageResult {
  const nothing = { salvaged: { inbox: 0, streams: 0, deadLetters: 0, state: 0, values: 0 }, lost: null }
  if ((fs.statSync(damagedFile, { throwIfNoEntry: false })?.size ?? 0) === 0) return nothing
  let old: Database.Database
  try {
    old = new Database(damagedFile, { readonly: true, fileMustExist: true })
  } catch {
    return nothing
  }
  try {
    const expected = expectedRows(old)
    copyNames(old, target)
    const inbox = copyQueue(old, target, 'inbox', 'source')
    const streams = copyQueue(old, target, 'stream', 'stream')
    const deadLetters = copyTable(old, target, 'dead_letters', 'id')
    const state = copyTable(old, target, 'state', 'function, key')
    const values = copyTable(old, target, '"values"', 'key')
    const lost = expected === null ? null : Math.max(0, expected - inbox - streams)
    return { salvaged: { inbox, streams, deadLetters, state, values }, lost }
  } finally {
    old.close()
  }
}

/** How many rows the old ledger says were waiting. */
function expectedRows(old: Database.Database): number | null {
  try {
    return old.prepare('SELECT sum(accepted - delivered - expired - evicted - dead) FROM ledger').pluck().get() as number | null
  } catch {
    return null
  }
}

function copyNames(old: Database.Database, target: Database.Database): void {
  const epoch = target.prepare("SELECT value FROM meta WHERE key = 'epoch'").pluck().get()
  const insert = target.prepare('INSERT OR IGNORE INTO names VALUES (?, ?, ?)')
  const account = target.prepare('INSERT OR IGNORE INTO ledger (kind, id, epoch) VALUES (?, ?, ?)')
  copy(old, target, 'names', 'kind, id', ([kind, id, name]) => {
    const changes = insert.run(kind, id, name).changes
    if (changes > 0 && kind !== 'function') account.run(kind, id, epoch)
    return changes
  })
}

function copyQueue(old: Database.Database, target: Database.Database, table: 'inbox' | 'stream', kind: 'source' | 'stream'): number {
  const epoch = target.prepare("SELECT value FROM meta WHERE key = 'epoch'").pluck().get()
  // Old ids order the rows; they are made dense per number afterwards.
  const insert = target.prepare(
    table === 'inbox' ? 'INSERT OR IGNORE INTO inbox VALUES (?, ?, ?)' : 'INSERT OR IGNORE INTO stream VALUES (?, ?)',
  )
  const rows = copy(old, target, table, 'id', (row) => insert.run(...row).changes)
  target.transaction(() => {
    const numbers = target.prepare(`SELECT DISTINCT id / ${SEQ_SPAN} FROM ${table}`).pluck().all() as number[]
    for (const number of numbers) {
      const base = number * SEQ_SPAN
      target.prepare('INSERT OR IGNORE INTO names VALUES (?, ?, ?)').run(kind, number, `salvaged-${kind}-${number}`)
      target.prepare('INSERT OR IGNORE INTO ledger (kind, id, epoch) VALUES (?, ?, ?)').run(kind, number, epoch)
      const count = renumber(target, table, base)
      const bytes = target
        .prepare(`SELECT coalesce(sum(length(record)), 0) FROM ${table} WHERE id > ? AND id < ?`)
        .pluck()
        .get(base, base + SEQ_SPAN)
      target
        .prepare('UPDATE ledger SET last_seq = ?, accepted = ?, salvaged = ?, bytes = ? WHERE kind = ? AND id = ?')
        .run(count, count, count, kind === 'stream' ? bytes : 0, kind, number)
    }
  })()
  return rows
}

/** Moves rows down to 1, 2, 3, ... in their order: each new id is at or below the old one, so none is met twice. */
function renumber(target: Database.Database, table: string, base: number): number {
  const ids = target
    .prepare(`SELECT id FROM ${table} WHERE id > ? AND id < ? ORDER BY id`)
    .pluck()
    .all(base, base + SEQ_SPAN) as number[]
  const move = target.prepare(`UPDATE ${table} SET id = ? WHERE id = ?`)
  ids.forEach((id, index) => move.run(base + index + 1, id))
  return ids.length
}

function copyTable(old: Database.Database, target: Database.Database, table: string, order: string): number {
  const columns = target.prepare(`SELECT * FROM ${table}`).columns().length
  const insert = target.prepare(`INSERT OR IGNORE INTO ${table} VALUES (${Array(columns).fill('?').join(', ')})`)
  return copy(old, target, table, order, (row) => insert.run(...row).changes)
}

/** Reads forwards, and when that failed backwards up to the first row that is there already. Returns the rows added. */
function copy(old: Database.Database, target: Database.Database, table: string, order: string, add: (row: unknown[]) => number): number {
  let added = 0
  const run = (sql: string, untilKnown: boolean): boolean => {
    let pending = 0
    target.exec('BEGIN')
    try {
      for (const row of readable(old, sql)) {
        if (row === null) return false
        const changes = tryAdd(add, row)
        if (changes === 0 && untilKnown) return true
        added += changes
        if (++pending % ROWS_PER_COMMIT === 0) target.exec('COMMIT; BEGIN')
      }
      return true
    } finally {
      target.exec('COMMIT')
    }
  }
  const forwards = order
    .split(', ')
    .map((column) => `${column} ASC`)
    .join(', ')
  if (!run(`SELECT * FROM ${table} ORDER BY ${forwards}`, false)) {
    run(`SELECT * FROM ${table} ORDER BY ${forwards.replaceAll('ASC', 'DESC')}`, true)
  }
  return added
}

/** Rows until the file cannot be read on; then null. Errors of the target are not caught here. */
function* readable(old: Database.Database, sql: string): Generator<unknown[] | null> {
  let rows: IterableIterator<unknown[]>
  try {
    rows = old.prepare(sql).raw().iterate() as IterableIterator<unknown[]>
  } catch {
    yield null
    return
  }
  for (;;) {
    let next: IteratorResult<unknown[]>
    try {
      next = rows.next()
    } catch {
      yield null
      return
    }
    if (next.done) return
    yield next.value
  }
}

/** A row whose columns are damaged (null where there must be a value, a wrong type) is not carried over. */
function tryAdd(add: (row: unknown[]) => number, row: unknown[]): number {
  try {
    return add(row)
  } catch (error) {
    if (/^SQLITE_(CONSTRAINT|MISMATCH|TOOBIG)/.test((error as { code?: string }).code ?? '')) return 0
    throw error
  }
}

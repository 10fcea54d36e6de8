import fs from 'node:fs'
import Database from 'better-sqlite3'
import { WHOLE_CHECK_BYTES } from './limits.ts'
import { APPLICATION_ID, MIGRATIONS, newerStore } from './schema.ts'
import { isDamage, sqliteCode } from './store-errors.ts'
import { paths } from './database.ts'

export type Finding =
  | { readonly state: 'sound' }
  /** No database, and there never was one. */
  | { readonly state: 'none' }
  | { readonly state: 'missing' | 'empty' | 'corrupt'; readonly reason: string }

/**
 * Looks at queue.db without changing it, through a read-only connection. Throws 'store-newer' for a database of a newer
 * release, and passes on errors of the disk: those say nothing about the contents.
 */
export function inspect(dataDir: string): Finding {
  const p = paths(dataDir)
  const size = fs.statSync(p.db, { throwIfNoEntry: false })?.size
  if (size === undefined) {
    if (fs.existsSync(p.epoch)) return { state: 'missing', reason: 'queue.db is gone; queue.epoch says there was one' }
    if (fs.existsSync(`${p.db}-wal`)) return { state: 'missing', reason: 'queue.db is gone; its WAL is there' }
    return { state: 'none' }
  }
  if (size === 0) return { state: 'empty', reason: 'queue.db has 0 bytes' }
  try {
    const db = new Database(p.db, { readonly: true, fileMustExist: true })
    try {
      const reason = check(db, size <= WHOLE_CHECK_BYTES || fs.existsSync(p.suspect))
      return reason === null ? { state: 'sound' } : { state: 'corrupt', reason }
    } finally {
      db.close()
    }
  } catch (error) {
    if (!isDamage(error)) throw error
    return { state: 'corrupt', reason: `${(error as Error).message} (${sqliteCode(error)})` }
  }
}

function check(db: Database.Database, whole: boolean): string | null {
  if (db.pragma('application_id', { simple: true }) !== APPLICATION_ID) return 'the file is not a Dunlin store'
  const version = db.pragma('user_version', { simple: true }) as number
  if (version > MIGRATIONS.length) throw newerStore(db, version, MIGRATIONS.length)
  if (whole) {
    const found = db.pragma('quick_check(1)', { simple: true }) as string
    return found === 'ok' ? null : found
  }
  for (const table of ['meta', 'names', 'ledger']) db.prepare(`SELECT * FROM ${table}`).all()
  for (const table of ['inbox', 'stream', 'dead_letters'])
    db.prepare(`SELECT (SELECT min(id) FROM ${table}), (SELECT max(id) FROM ${table})`).get()
  return null
}

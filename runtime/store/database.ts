import fs from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { DunlinError, ResourceError } from '../base/errors.ts'
import { BUSY_TIMEOUT_MS, PAGE_BYTES } from './limits.ts'
import { migrate } from './schema.ts'

/** Since 3.51.3 a checkpoint racing a writer can no longer lose WAL frames; older ones are refused. */
const SQLITE_OLDEST = [3, 51, 3] as const
const SYNCHRONOUS_FULL = 2

export const paths = (dataDir: string) => ({
  db: path.join(dataDir, 'queue.db'),
  /** Being made. */
  draft: path.join(dataDir, 'queue.db.new'),
  /** Complete, waiting to take the place of queue.db. */
  ready: path.join(dataDir, 'queue.db.ready'),
  /** Holds the epoch of queue.db: says that this directory has had a database, for missing is not empty. */
  epoch: path.join(dataDir, 'queue.epoch'),
  /** A damage was met while running: the next open checks the whole file. */
  suspect: path.join(dataDir, 'queue.suspect'),
  ballast: path.join(dataDir, 'ballast'),
})

/** Opens queue.db for work: every setting that a promise rests on is set and read back, then the schema is brought up to date. */
export function openDatabase(file: string, maxPages: number): Database.Database {
  const db = new Database(file, { timeout: BUSY_TIMEOUT_MS })
  try {
    checkVersion(db)
    setPragmas(db, maxPages)
    migrate(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

/** Makes a complete, empty database beside the real one, so that queue.db is never there half made. Not in WAL mode: one file. */
export function createDraft(file: string): Database.Database {
  for (const suffix of ['', '-journal', '-wal', '-shm']) fs.rmSync(file + suffix, { force: true })
  const db = new Database(file)
  try {
    db.pragma(`page_size = ${PAGE_BYTES}`)
    db.pragma('journal_mode = DELETE')
    db.pragma('synchronous = FULL')
    migrate(db)
    return db
  } catch (error) {
    db.close()
    throw error
  }
}

function checkVersion(db: Database.Database): void {
  const version = db.prepare('SELECT sqlite_version()').pluck().get() as string
  const parts = version.split('.').map(Number)
  for (let i = 0; i < SQLITE_OLDEST.length; i++) {
    const found = parts[i] ?? 0
    if (found > SQLITE_OLDEST[i]!) return
    if (found < SQLITE_OLDEST[i]!)
      throw new DunlinError('store-sqlite-version', `Use SQLite ${SQLITE_OLDEST.join('.')} or newer, not ${version}`)
  }
}

/**
 * wal_autocheckpoint is off because the automatic one swallows the error of a failed fsync; the thread checkpoints itself.
 * journal_size_limit -1 keeps the WAL's blocks, so that a full disk does not stop what frees space.
 */
export function setPragmas(db: Database.Database, maxPages: number): void {
  const wanted = {
    journal_mode: 'wal',
    synchronous: SYNCHRONOUS_FULL,
    journal_size_limit: -1,
    wal_autocheckpoint: 0,
    busy_timeout: BUSY_TIMEOUT_MS,
    temp_store: 2,
    foreign_keys: 0,
    cache_size: -8192,
    // SQLite never goes below the size that the file already has.
    max_page_count: Math.max(maxPages, db.pragma('page_count', { simple: true }) as number),
  }
  for (const [name, value] of Object.entries(wanted)) {
    db.pragma(`${name} = ${value}`)
    const found = db.pragma(name, { simple: true })
    if (found !== value) {
      throw new ResourceError('store-pragma', `Cannot open the store: ${name} is ${String(found)}, must be ${value}`, {
        hint: 'The file system may not support what SQLite needs; use a local disk for the data directory',
      })
    }
  }
}

export function syncDir(dir: string): void {
  const fd = fs.openSync(dir, 'r')
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** Written, synced, renamed, directory synced. */
export function writeFileDurably(file: string, text: string): void {
  const draft = `${file}.new`
  fs.writeFileSync(draft, text, { flush: true })
  fs.renameSync(draft, file)
  syncDir(path.dirname(file))
}

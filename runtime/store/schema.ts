import type { Database } from 'better-sqlite3'
import { randomBytes } from 'node:crypto'
import { DunlinError, ResourceError } from '../base/errors.ts'

/** 'DUNL': a file that reads well but is somebody else's is not taken over. */
export const APPLICATION_ID = 0x44_55_4e_4c
/** The first release of Dunlin that wrote each schema, for the message of an older one. */
export const PROGRAM = 'dunlin 0.1.0'

export type Migration = (db: Database) => void

/**
 * One entry a schema version; user_version is how many have run.
 *
 * Row ids of inbox and stream are number * 2^40 + seq: one source's or stream's rows lie together, read in order and are
 * counted without an index. `ledger.last_seq` is never lowered, so an id is never given twice although the table was empty.
 */
export const MIGRATIONS: readonly Migration[] = [
  (db) => {
    db.exec(`
      CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      CREATE TABLE names (kind TEXT NOT NULL, id INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (kind, id), UNIQUE (kind, name)) WITHOUT ROWID;
      CREATE TABLE ledger (
        kind TEXT NOT NULL, id INTEGER NOT NULL, epoch TEXT NOT NULL, last_seq INTEGER NOT NULL DEFAULT 0,
        accepted INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0, expired INTEGER NOT NULL DEFAULT 0,
        evicted INTEGER NOT NULL DEFAULT 0, rejected INTEGER NOT NULL DEFAULT 0, dead INTEGER NOT NULL DEFAULT 0,
        salvaged INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (kind, id)) WITHOUT ROWID;
      CREATE TABLE inbox (id INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, record BLOB NOT NULL);
      CREATE TABLE stream (id INTEGER PRIMARY KEY, record BLOB NOT NULL);
      CREATE TABLE state (function INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (function, key)) WITHOUT ROWID;
      CREATE TABLE dead_letters (
        id INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL, time_ms INTEGER NOT NULL, function TEXT NOT NULL,
        version TEXT NOT NULL, error TEXT NOT NULL, stack TEXT NOT NULL, attempts INTEGER NOT NULL, record BLOB NOT NULL);
      CREATE TABLE "values" (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    `)
    db.prepare("INSERT INTO meta VALUES ('epoch', ?), ('boot', 0)").run(randomBytes(8).toString('hex'))
  },
]

/** Brings the schema up to date in one transaction: a migration that fails leaves the database as it was. */
export function migrate(db: Database, migrations: readonly Migration[] = MIGRATIONS): void {
  const from = db.pragma('user_version', { simple: true }) as number
  if (from > migrations.length) throw newerStore(db, from, migrations.length)
  if (from === migrations.length) return
  try {
    db.transaction(() => {
      for (const step of migrations.slice(from)) step(db)
      db.prepare("INSERT OR REPLACE INTO meta VALUES ('program', ?)").run(PROGRAM)
      db.pragma(`application_id = ${APPLICATION_ID}`)
      db.pragma(`user_version = ${migrations.length}`)
    }).immediate()
  } catch (cause) {
    throw new DunlinError(
      'store-migration',
      `Cannot bring the store from schema ${from} to ${migrations.length}: ${(cause as Error).message}`,
      {
        cause,
        hint: 'Nothing was changed; the release that wrote it still opens it',
      },
    )
  }
}

export function newerStore(db: Database, found: number, known: number): ResourceError {
  const program = db.prepare("SELECT value FROM meta WHERE key = 'program'").pluck().get() as string | undefined
  const text = `Cannot open the store: ${program ?? 'a newer release'} wrote it with schema ${found}, this release knows ${known}`
  return new ResourceError('store-newer', text, { hint: 'Nothing was changed; start the newer release again' })
}

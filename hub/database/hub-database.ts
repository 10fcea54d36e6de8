/**
 * hub.db. An answer to anybody (PUBACK, HTTP 2xx) comes after the commit, and a commit is fsynced: synchronous=FULL is set and
 * read back, because the package compiles WAL databases to NORMAL.
 *
 * Queries are built and typed by kysely and run synchronously on the one connection. So no transaction can be open while
 * something else runs: kysely's own asynchronous transactions are not used.
 */
import Database from 'better-sqlite3'
import { DummyDriver, Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type CompiledQuery } from 'kysely'
import { chmodSync, closeSync, openSync } from 'node:fs'
import { ResourceError } from '../../runtime/base/errors.ts'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'

const STATEMENTS_MAX = 256
const PAGE_BYTES = 8192
const CACHE_KIB = 32 * 1024
const WAL_PAGES = 4000

export interface Query<Row> {
  compile(): CompiledQuery<Row>
}

export class HubDatabase {
  readonly raw: Database.Database
  /** Builds queries; it runs none. */
  readonly query: Kysely<Schema>
  #statements = new Map<string, Database.Statement>()

  private constructor(raw: Database.Database) {
    this.raw = raw
    this.query = new Kysely<Schema>({
      dialect: {
        createAdapter: () => new SqliteAdapter(),
        createDriver: () => new DummyDriver(),
        createIntrospector: (db) => new SqliteIntrospector(db),
        createQueryCompiler: () => new SqliteQueryCompiler(),
      },
    })
  }

  static open(path: string): HubDatabase {
    closeSync(openSync(path, 'a', 0o600))
    chmodSync(path, 0o600)
    const raw = new Database(path)
    try {
      configure(raw, path)
      migrate(raw, path)
    } catch (error) {
      raw.close()
      throw error
    }
    return new HubDatabase(raw)
  }

  all<Row>(query: Query<Row>): Row[] {
    const { sql, parameters } = query.compile()
    return this.#prepare(sql).all(...parameters) as Row[]
  }

  first<Row>(query: Query<Row>): Row | undefined {
    const { sql, parameters } = query.compile()
    return this.#prepare(sql).get(...parameters) as Row | undefined
  }

  run(query: Query<unknown>): { changes: number; lastId: number } {
    const { sql, parameters } = query.compile()
    const result = this.#prepare(sql).run(...parameters)
    return { changes: result.changes, lastId: Number(result.lastInsertRowid) }
  }

  /** All of `work` or nothing, committed and fsynced on return. `work` must not wait for anything. */
  transaction<T>(work: () => T): T {
    return this.raw.transaction(work).immediate()
  }

  close(): void {
    this.#statements.clear()
    this.raw.close()
  }

  #prepare(sql: string): Database.Statement {
    let statement = this.#statements.get(sql)
    if (statement) return statement
    if (this.#statements.size >= STATEMENTS_MAX) this.#statements.clear()
    statement = this.raw.prepare(sql)
    this.#statements.set(sql, statement)
    return statement
  }
}

function configure(raw: Database.Database, path: string): void {
  raw.pragma(`page_size = ${PAGE_BYTES}`)
  raw.pragma('journal_mode = WAL')
  raw.pragma('synchronous = FULL')
  raw.pragma('foreign_keys = ON')
  raw.pragma(`cache_size = -${CACHE_KIB}`)
  raw.pragma(`wal_autocheckpoint = ${WAL_PAGES}`)
  const journal = raw.pragma('journal_mode', { simple: true })
  const synchronous = raw.pragma('synchronous', { simple: true })
  if (journal !== 'wal' || synchronous !== 2) {
    throw new ResourceError(
      'database-not-durable',
      `Cannot use ${path}: journal ${journal}, synchronous ${synchronous}, expected wal and 2`,
      {
        hint: 'Put the data directory on a local file system',
      },
    )
  }
}

function migrate(raw: Database.Database, path: string): void {
  const version = Number(raw.pragma('user_version', { simple: true }))
  if (version > migrations.length) {
    throw new ResourceError(
      'database-newer',
      `Cannot open ${path}: it is of version ${version}, this hub knows up to ${migrations.length}`,
      {
        hint: 'Start the newer hub that wrote it, or restore the backup made before the upgrade',
      },
    )
  }
  for (let next = version; next < migrations.length; next++) {
    raw
      .transaction(() => {
        raw.exec(migrations[next]!)
        raw.pragma(`user_version = ${next + 1}`)
      })
      .immediate()
  }
}

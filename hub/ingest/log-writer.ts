/** Keeps the newest log lines of each device. Runs inside the caller's transaction. */
import type Database from 'better-sqlite3'
import type { LogBatch } from '../../config/wire.ts'
import type { HubDatabase } from '../database/hub-database.ts'

/** Older lines are removed when a device has written a tenth of its share. */
const PRUNE_SHARE = 10

export class LogWriter {
  readonly #database: HubDatabase
  readonly #linesMax: number
  readonly #insert: Database.Statement
  readonly #sincePruned = new Map<number, number>()

  constructor(database: HubDatabase, options: { linesPerDeviceMax: number }) {
    this.#database = database
    this.#linesMax = options.linesPerDeviceMax
    this.#insert = database.raw.prepare(
      'INSERT INTO logs (device, time_ms, received_ms, level, function, message, fields) VALUES (?, ?, ?, ?, ?, ?, ?)',
    )
  }

  write(device: number, batch: LogBatch, receivedMs: number): void {
    for (const { timeMs, level, function: name, message, fields } of batch.lines) {
      this.#insert.run(device, Math.trunc(timeMs), receivedMs, level, name ?? null, message, fields ? JSON.stringify(fields) : null)
    }
    if (batch.dropped > 0)
      this.#insert.run(device, receivedMs, receivedMs, 'warn', null, `${batch.dropped} log lines were dropped on the device`, null)
    this.#prune(device, batch.lines.length + 1)
  }

  #prune(device: number, written: number): void {
    const since = (this.#sincePruned.get(device) ?? this.#linesMax) + written
    if (since < this.#linesMax / PRUNE_SHARE) {
      this.#sincePruned.set(device, since)
      return
    }
    this.#sincePruned.set(device, 0)
    const { query } = this.#database
    const oldest = query.selectFrom('logs').select('id').where('device', '=', device).orderBy('id', 'desc').limit(1).offset(this.#linesMax)
    this.#database.run(query.deleteFrom('logs').where('device', '=', device).where('id', '<=', oldest))
  }
}

import type { HubDatabase } from '../database/hub-database.ts'

export interface LogQuery {
  readonly device: string | null
  readonly function: string | null
  /** null: the newest lines. */
  readonly after: number | null
  readonly limit: number
}

export class LogReader {
  readonly #database: HubDatabase

  constructor(database: HubDatabase) {
    this.#database = database
  }

  /** Oldest first. `next` is where to go on, also when nothing new is there yet. */
  read({ device, function: name, after, limit }: LogQuery): { lines: object[]; next: string } {
    const { query } = this.#database
    let rows = query
      .selectFrom('logs')
      .innerJoin('devices', 'devices.num', 'logs.device')
      .select(['logs.id', 'devices.id as device', 'logs.time_ms', 'logs.level', 'logs.function', 'logs.message', 'logs.fields'])
    if (device !== null) rows = rows.where('devices.id', '=', device)
    if (name !== null) rows = rows.where('logs.function', '=', name)
    if (after !== null) rows = rows.where('logs.id', '>', after)
    const found = this.#database.all(rows.orderBy('logs.id', after === null ? 'desc' : 'asc').limit(limit))
    if (after === null) found.reverse()
    const lines = found.map(({ id, time_ms, fields, ...line }) => ({
      id,
      time: timeText(time_ms),
      ...line,
      fields: fields && JSON.parse(fields),
    }))
    return { lines, next: String(found.at(-1)?.id ?? after ?? 0) }
  }
}

function timeText(ms: number): string | null {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? null : date.toISOString()
}

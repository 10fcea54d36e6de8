import type { HubDatabase } from '../database/hub-database.ts'

export interface AuditEntry {
  /** `operator`, `hub`, or `device <id>`. */
  readonly actor: string
  /** `device.enrolled`, `release.created`, ... */
  readonly action: string
  readonly subject: string
  /** Never a secret. */
  readonly detail?: object
}

/** Who changed what. Written in the transaction of the change itself. */
export class Audit {
  readonly #database: HubDatabase

  constructor(database: HubDatabase) {
    this.#database = database
  }

  add({ actor, action, subject, detail }: AuditEntry): void {
    const row = { time_ms: Date.now(), actor, action, subject, detail: detail ? JSON.stringify(detail) : null }
    this.#database.run(this.#database.query.insertInto('audit').values(row))
  }

  list(
    after: number,
    limit: number,
  ): Array<{ id: number; time_ms: number; actor: string; action: string; subject: string; detail: string | null }> {
    return this.#database.all(this.#database.query.selectFrom('audit').selectAll().where('id', '>', after).orderBy('id').limit(limit))
  }
}

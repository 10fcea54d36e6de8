/**
 * Gathers what arrives in one turn of the event loop into one transaction, and answers after its commit.
 *
 * When a group fails, its items are tried one by one, so that a bad one fails alone. Not so when the disk failed: an fsync that
 * failed is never tried again as if it could succeed; everything is refused and `onBroken` ends the hub.
 */
import { ResourceError, codeOf } from '../../runtime/base/errors.ts'
import type { HubDatabase } from '../database/hub-database.ts'

const ITEMS_MAX = 256
const BYTES_PER_COMMIT = 8 * 1024 * 1024
const BYTES_WAITING_MAX = 64 * 1024 * 1024

export interface Item {
  /** What it keeps in memory while it waits. */
  readonly bytes: number
  /** Runs inside the transaction; may run twice. */
  run(): void
  done(error: Error | null): void
}

export class GroupCommit {
  readonly #database: HubDatabase
  readonly #onBroken: (error: Error) => void
  /** Called when a transaction was undone: what is kept in memory may be ahead of the database. */
  onRollback: () => void = () => {}
  #waiting: Item[] = []
  #waitingBytes = 0
  #isScheduled = false
  #broken: Error | undefined
  commits = 0

  constructor(database: HubDatabase, options: { onBroken: (error: Error) => void }) {
    this.#database = database
    this.#onBroken = options.onBroken
  }

  push(item: Item): void {
    if (this.#broken) return item.done(this.#broken)
    if (this.#waitingBytes + item.bytes > BYTES_WAITING_MAX) {
      return item.done(
        new ResourceError('hub-busy', `Cannot take more: ${this.#waitingBytes} bytes wait for the disk`, { retryable: true }),
      )
    }
    this.#waiting.push(item)
    this.#waitingBytes += item.bytes
    this.#schedule()
  }

  /** Commits what waits. */
  flush(): void {
    while (this.#waiting.length > 0) this.#commitGroup()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => {
      this.#isScheduled = false
      this.#commitGroup()
      if (this.#waiting.length > 0) this.#schedule()
    })
  }

  #commitGroup(): void {
    const group = this.#take()
    if (group.length === 0) return
    const failed = this.#attempt(group)
    if (failed === null) for (const item of group) item.done(null)
    else if (this.#broken) for (const item of group) item.done(this.#broken)
    else for (const item of group) item.done(group.length === 1 ? failed : this.#attempt([item]))
  }

  #attempt(group: readonly Item[]): Error | null {
    if (this.#broken) return this.#broken
    try {
      this.#database.transaction(() => {
        for (const item of group) item.run()
      })
      this.commits++
      return null
    } catch (cause) {
      const error = cause instanceof Error ? cause : new Error(String(cause))
      this.onRollback()
      if (isDiskFailure(error)) {
        this.#broken = error
        this.#onBroken(error)
      }
      return error
    }
  }

  #take(): Item[] {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length && count < ITEMS_MAX && (count === 0 || bytes + this.#waiting[count]!.bytes <= BYTES_PER_COMMIT)) {
      bytes += this.#waiting[count]!.bytes
      count++
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }
}

function isDiskFailure(error: Error): boolean {
  return /^SQLITE_(IOERR|CORRUPT|NOTADB|READONLY)/.test(codeOf(error))
}

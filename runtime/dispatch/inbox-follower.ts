import type { Logger } from '../base/log.ts'
import type { InboxRow, Store } from '../store/store.ts'

const REFILL_ROWS = 4_096
const REFILL_BYTES = 8 * 1024 * 1024

/**
 * Which committed event of a source comes next. Two modes. Following: an event that is committed is the next one. Behind (at start,
 * or when memory was full): events are read from the inbox in order until it has nothing newer; then it follows again. No event
 * is skipped or taken twice, because both modes go by inbox id.
 */
export class InboxFollower {
  readonly #store: Pick<Store, 'readInbox'>
  readonly #source: number
  readonly #logger: Logger
  readonly #onRow: (row: InboxRow) => void
  #isBehind = true
  #isReading = false
  #isClosed = false
  #lastId = 0

  constructor(store: Pick<Store, 'readInbox'>, source: number, logger: Logger, onRow: (row: InboxRow) => void) {
    this.#store = store
    this.#source = source
    this.#logger = logger
    this.#onRow = onRow
  }

  get isBehind(): boolean {
    return this.#isBehind
  }

  /** An event was committed. True: it is the next one, and the caller takes it. False: it will be read. */
  take(inboxId: number, hasRoom: boolean): boolean {
    if (this.#isBehind || !hasRoom) {
      this.#isBehind = true
      return false
    }
    this.#lastId = inboxId
    return true
  }

  /** An event was put into the inbox by hand. True: the caller takes it. */
  takeReplayed(inboxId: number): boolean {
    if (this.#isBehind && inboxId > this.#lastId) return false
    this.#lastId = Math.max(this.#lastId, inboxId)
    return true
  }

  /** Rows were committed that nobody told one by one; said before anything that is accepted later. They are read. */
  fallBehind(): void {
    this.#isBehind = true
    void this.read()
  }

  /** Reads on, if it is behind and does not read already. */
  async read(): Promise<void> {
    if (!this.#isBehind || this.#isReading || this.#isClosed) return
    this.#isReading = true
    try {
      const rows = await this.#store.readInbox(this.#source, this.#lastId, REFILL_ROWS, REFILL_BYTES)
      if (this.#isClosed) return
      // The store answers in order: an event committed after this read is told after it, and is taken then.
      if (rows.length === 0) this.#isBehind = false
      for (const row of rows) {
        this.#lastId = row.inboxId
        this.#onRow(row)
      }
    } catch (error) {
      // The store says itself, once, that it cannot go on; what is in the inbox is for the next start.
      this.#logger.error({ error: (error as Error).message }, 'cannot read the inbox')
    } finally {
      this.#isReading = false
    }
  }

  close(): void {
    this.#isClosed = true
  }
}

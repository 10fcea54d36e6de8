/**
 * What the rest of Dunlin may ask of the store. The store thread (store-thread.ts) owns the database; StoreClient
 * (store-client.ts) implements this on the agent's side. Nothing else opens queue.db.
 *
 * Everything that changes events goes through a *step*: steps are gathered into one binary batch, the thread runs a batch as
 * ONE transaction (group commit, synchronous=FULL), and only then are the callbacks called. A step that failed changed nothing.
 */
export interface Store {
  /** Which start of the agent this is: 1 at the first, one more each time. */
  readonly boot: number

  /** A trigger's or a stream's name becomes a small number that stays the same over restarts. */
  openSource(name: string): Promise<number>
  openStream(name: string, options?: StreamOptions): Promise<number>
  openFunction(name: string): Promise<number>

  /** Keeps one event for `source`. `done` comes after the commit, with the event's inbox id; or with an error, and then nothing was kept. */
  accept(source: number, record: Uint8Array, done: AcceptDone): void

  /**
   * One step that ends an event: begin, then any of emit/setState/deleteState, then end — synchronously, one after the other.
   * `inboxId` 0: the event was never in the inbox (direct delivery); its source's ledger still counts it.
   * If the inbox row is gone already (the event was settled before), the whole step changes nothing and `settled` is false.
   */
  begin(source: number, inboxId: number): void
  emit(stream: number, record: Uint8Array): void
  setState(fn: number, key: string, value: Uint8Array): void
  deleteState(fn: number, key: string): void
  end(done: SettleDone | null): void

  /** The event failed and will be tried again: remembers the attempt, so that a crash of the agent does not start counting anew. */
  retryLater(inboxId: number, attempt: number): void
  /** Moves the event to the dead letters, in one transaction with the ledger. Works for direct events too (inboxId 0, `record` given). */
  bury(source: number, inboxId: number, letter: DeadLetterReason, record: Uint8Array | null, done: SettleDone | null): void

  /** Events of `source` after inbox id `after`, oldest first; at most `rows` rows or `bytes` bytes (at least one row if there is any). */
  readInbox(source: number, after: number, rows: number, bytes: number): Promise<InboxRow[]>
  /** Rows of a stream with first <= seq <= last, oldest first. */
  readStream(stream: number, first: number, last: number, rows: number, bytes: number): Promise<StreamRow[]>
  /** The export confirmed these rows: they are deleted and counted as delivered. Resolves after the commit. */
  releaseStream(stream: number, first: number, last: number): Promise<void>

  getState(fn: number, key: string): Promise<Buffer | undefined>
  /** Small durable values of the agent (deployments, cron marks, identity of streams). Resolves after the commit. */
  getValue(key: string): Promise<string | undefined>
  setValue(key: string, value: string): Promise<void>
  deleteValue(key: string): Promise<void>

  ledger(): Promise<Ledger>
  deadLetters(limit: number, before?: number): Promise<DeadLetter[]>
  /** Puts a dead letter back into its source's inbox with attempt 0; resolves with its new inbox id, or undefined when there is none. */
  replayDeadLetter(id: number): Promise<{ source: number; inboxId: number } | undefined>

  /**
   * Up to `rows` of the oldest events of one source become the newest of another, with their attempts. `done` comes after the commit
   * with how many there were, and before the `done` of anything that is accepted later.
   */
  moveInbox(from: number, to: number, rows: number, done: (error: Error | null, moved: number) => void): void

  /** Waits until every step so far is committed. */
  flush(): Promise<void>
  close(): Promise<void>
}

export type AcceptDone = (error: Error | null, inboxId: number) => void
/** `settled` is false when the event had been settled before: nothing was changed. */
export type SettleDone = (error: Error | null, settled: boolean) => void

export interface StreamOptions {
  /** Bytes of rows at the most; 0: only the store's own quota. */
  readonly maxBytes?: number
}

export interface InboxRow {
  readonly inboxId: number
  /** Failed deliveries so far. */
  readonly attempt: number
  readonly record: Buffer
}

export interface StreamRow {
  readonly seq: number
  readonly record: Buffer
}

export interface DeadLetterReason {
  readonly function: string
  readonly version: string
  readonly error: string
  readonly stack: string
  readonly attempts: number
}

export interface DeadLetter extends DeadLetterReason {
  readonly id: number
  readonly source: string
  readonly timeMs: number
  readonly record: Buffer
}

/** accepted = delivered + waiting + sum of the reasons, at every moment. Of a source "delivered" means handled; of a stream: confirmed by the export. */
export interface LedgerRow {
  readonly name: string
  readonly epoch: string
  readonly lastSeq: number
  readonly accepted: number
  readonly delivered: number
  /** Counted from the rows, not from the counters: the sum is a check. */
  readonly waiting: number
  readonly expired: number
  readonly evicted: number
  readonly rejected: number
  readonly dead: number
  readonly salvaged: number
  /** Whether the sum holds. `rejected` was never accepted and is not part of it. */
  readonly balanced: boolean
}

export interface Ledger {
  readonly sources: readonly LedgerRow[]
  readonly streams: readonly (LedgerRow & { readonly firstWaiting: number })[]
  readonly bytesUsed: number
  readonly bytesMax: number
}

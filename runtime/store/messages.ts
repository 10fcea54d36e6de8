import type { DeadLetter, Ledger } from './store.ts'
import type { PlainError } from './store-errors.ts'

/** What the client and the store thread say to each other. The port keeps order: a query posted after a batch sees it. */
export interface ThreadOptions {
  readonly dataDir: string
  readonly maxBytes: number
  /** Between two looks whether a full disk has room again. */
  readonly ballastRetryMs: number
}

export type Query =
  | { readonly ask: 'open'; readonly kind: NameKind; readonly name: string; readonly maxBytes: number }
  | { readonly ask: 'inbox'; readonly source: number; readonly after: number; readonly rows: number; readonly bytes: number }
  | {
      readonly ask: 'stream'
      readonly stream: number
      readonly first: number
      readonly last: number
      readonly rows: number
      readonly bytes: number
    }
  | { readonly ask: 'state'; readonly fn: number; readonly key: string }
  | { readonly ask: 'value'; readonly key: string }
  | { readonly ask: 'ledger' }
  | { readonly ask: 'deadLetters'; readonly limit: number; readonly before: number }

export type NameKind = 'source' | 'stream' | 'function'

export interface PackedRows {
  readonly buffer: ArrayBuffer
  readonly used: number
}

/** What each query is answered with. */
export interface Answers {
  open: number
  inbox: PackedRows
  stream: PackedRows
  state: Uint8Array | undefined
  value: string | undefined
  ledger: Ledger
  deadLetters: (Omit<DeadLetter, 'record'> & { readonly record: Uint8Array })[]
}

export type ToThread =
  | { readonly kind: 'batch'; readonly buffer: ArrayBuffer; readonly used: number }
  | { readonly kind: 'query'; readonly id: number; readonly query: Query }
  | { readonly kind: 'close' }

export type FromThread =
  | { readonly kind: 'opened'; readonly boot: number; readonly report: OpenReport }
  | { readonly kind: 'open-failed'; readonly error: PlainError }
  /** `error`: none of the batch was kept, and the outcomes in the buffer mean nothing. */
  | { readonly kind: 'batch-done'; readonly buffer: ArrayBuffer; readonly used: number; readonly error: PlainError | null }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly error: PlainError }
  /** The database cannot be trusted to keep anything more; said once. */
  | { readonly kind: 'fatal'; readonly error: PlainError }
  | { readonly kind: 'notice'; readonly level: 'info' | 'warn'; readonly message: string; readonly fields: object }

/** What opening found and did. */
export interface OpenReport {
  readonly epoch: string
  /** The database was made by this start. */
  readonly created: boolean
  readonly damage: Damage | null
}

export interface Damage {
  /** missing: the file was gone although this directory had one. empty: 0 bytes. corrupt: SQLite cannot read all of it. */
  readonly what: 'missing' | 'empty' | 'corrupt'
  readonly reason: string
  /** Where the damaged database was kept, if there was a file. */
  readonly keptAs: string | null
  readonly previousEpoch: string | null
  /** Rows carried over into the new database. */
  readonly salvaged: Salvaged
  /** Rows that the old ledger says were waiting and that could not be read; null when the old ledger could not be read either. */
  readonly lost: number | null
}

export interface Salvaged {
  readonly inbox: number
  readonly streams: number
  readonly deadLetters: number
  readonly state: number
  readonly values: number
}

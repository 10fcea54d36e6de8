/** The store's named limits. Sizes of the disk budget are worked out in one place: `budgetFor`. */
const KiB = 1024
const MiB = 1024 * KiB

/** Bytes gathered or in flight, not yet committed. Beyond it accept() answers 'store-busy'; settling is never refused. */
export const UNFLUSHED_BYTES_MAX = 64 * MiB
/** One transaction takes about this many bytes of steps, so that the WAL stays small and an acknowledgement does not wait for a huge commit. */
export const BATCH_BYTES = 2 * MiB
/** Batches at the thread at once. */
export const BATCHES_IN_FLIGHT_MAX = 4
/** A batch of this size need not wait for the end of the turn. */
export const EAGER_BYTES = 64 * KiB
/** One record; the ring and the broker have lower limits of their own. */
export const RECORD_BYTES_MAX = 64 * MiB
export const STATE_KEY_BYTES_MAX = 1024
export const ERROR_TEXT_MAX = 8 * KiB
export const NAME_LENGTH_MAX = 255
/** Sources, streams or functions. Row ids are number * 2^40 + seq and must stay below 2^53. */
export const NUMBERS_MAX = 8191
export const SEQ_SPAN = 2 ** 40

/** A third less flash written per small commit than with 4 KiB, for about a tenth more CPU (docs/store.md has the measurement). */
export const PAGE_BYTES = 2048
/** Smaller files are checked whole at every open; larger ones only at their edges, and whole after a damage was met while running. */
export const WHOLE_CHECK_BYTES = 8 * MiB
/** How long a new owner waits for the last one to let go. */
export const LOCK_WAIT_MS = 300
export const BUSY_TIMEOUT_MS = 5000

const CHECKPOINT_PAGES_MIN = 32
export const STORE_BYTES_MIN = 1 * MiB

export interface Budget {
  readonly maxPages: number
  /** Pages that accept() leaves to settling, burying and values. */
  readonly reservePages: number
  /** Checkpoint when the WAL holds this many pages: half of the ballast, which must have room for a whole WAL. */
  readonly checkpointPages: number
  readonly ballastBytes: number
}

/** Splits the store's quota: a sixteenth as ballast, a quarter (at most 16 MiB) for the WAL, the rest for pages. */
export function budgetFor(maxBytes: number): Budget {
  const bytes = Math.max(STORE_BYTES_MIN, maxBytes)
  const ballastBytes = Math.floor(Math.min(8 * MiB, bytes / 16) / PAGE_BYTES) * PAGE_BYTES
  const walBytes = Math.min(16 * MiB, Math.floor(bytes / 4))
  const maxPages = Math.floor((bytes - ballastBytes - walBytes) / PAGE_BYTES)
  return {
    maxPages,
    reservePages: Math.max(24, Math.floor(maxPages / 16)),
    checkpointPages: Math.max(CHECKPOINT_PAGES_MIN, Math.floor(ballastBytes / 2 / PAGE_BYTES)),
    ballastBytes,
  }
}

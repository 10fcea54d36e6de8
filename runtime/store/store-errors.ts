import { DunlinError, InputError, ResourceError } from '../base/errors.ts'
import { Outcome } from './step-batch.ts'

/** A DunlinError in a form that crosses threads (a cloned Error keeps neither its class nor its code). */
export interface PlainError {
  readonly code: string
  readonly message: string
  readonly retryable: boolean
  readonly hint: string | undefined
}

export function toPlain(error: unknown): PlainError {
  if (error instanceof DunlinError) return { code: error.code, message: error.message, retryable: error.retryable, hint: error.hint }
  const message = error instanceof Error ? error.message : String(error)
  return {
    code: 'store-failed',
    message: `Cannot use the store: ${message} (${sqliteCode(error) || 'no code'})`,
    retryable: false,
    hint: undefined,
  }
}

export function fromPlain(error: PlainError): ResourceError {
  return new ResourceError(error.code, error.message, { retryable: error.retryable, hint: error.hint })
}

/** SQLite's name of the error, or ''. */
export function sqliteCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}

export const isFull = (error: unknown) => sqliteCode(error) === 'SQLITE_FULL' || sqliteCode(error) === 'ENOSPC'
export const isBusy = (error: unknown) => /^SQLITE_(BUSY|LOCKED)/.test(sqliteCode(error))
/** The file's contents are wrong (not: the disk did not answer). A short read is a truncated file. */
export const isDamage = (error: unknown) => /^SQLITE_(CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(sqliteCode(error))

export function storeFull(): ResourceError {
  return new ResourceError('store-full', 'Cannot keep the event: the store or its disk is full', {
    retryable: true,
    hint: 'Free disk space, raise store.maxBytes, or let the exports drain; events already kept are safe',
  })
}

export function storeBusy(reason: string): ResourceError {
  return new ResourceError('store-busy', `Cannot keep the event now: ${reason}`, { retryable: true, hint: 'Offer it again a little later' })
}

export function outcomeError(outcome: number): DunlinError {
  switch (outcome) {
    case Outcome.streamFull:
      return new ResourceError('stream-full', 'Cannot emit: the stream holds as many bytes as it may', {
        retryable: true,
        hint: "Let the stream's export drain it, or raise its maxBytes",
      })
    case Outcome.storeFull:
      return storeFull()
    case Outcome.storeBusy:
      return storeBusy('another program holds the database')
    default:
      return new InputError('store-unknown-number', 'Cannot run the step: it names a source, stream or function that was never opened')
  }
}

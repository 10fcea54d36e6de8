import type { DunlinError } from '../base/errors.ts'
import { BATCH_BYTES } from './limits.ts'
import type { ToThread } from './messages.ts'
import { Op, Outcome, StepReader, StepWriter } from './step-batch.ts'
import { outcomeError } from './store-errors.ts'

/** Called once a step, after the commit or the failure; `value` is what the step answers (inbox id, settled, rows). */
export type StepDone = (error: Error | null, value: never) => void

/** Steps in one buffer and who waits for them, in order. */
export interface Batch {
  readonly writer: StepWriter
  readonly waiting: (StepDone | null)[]
  readonly flushed: ((error: Error | null) => void)[]
  /** Questions that must see this batch: sent right after it. */
  readonly then: ToThread[]
  bytes: number
}

const POOL_MAX = 4

/** Gathers steps into batches of about BATCH_BYTES and reuses their buffers. */
export class StepGatherer {
  #open: Batch | null = null
  readonly #sealed: Batch[] = []
  readonly #pool: ArrayBuffer[] = []
  /** Bytes gathered and not yet taken. */
  bytes = 0

  get hasFull(): boolean {
    return this.#sealed.length > 0
  }

  /** The newest batch with a whole step in it. */
  last(): Batch | null {
    return this.#open !== null && this.#open.bytes > 0 ? this.#open : (this.#sealed.at(-1) ?? null)
  }

  /** Where the next entry goes. */
  current(): Batch {
    this.#open ??= { writer: new StepWriter(this.#pool.pop()), waiting: [], flushed: [], then: [], bytes: 0 }
    return this.#open
  }

  /** The entries written so far are whole steps. True when that closed a full batch. */
  stepEnded(batch: Batch, done: StepDone | null): boolean {
    batch.waiting.push(done)
    this.bytes += batch.writer.used - batch.bytes
    batch.bytes = batch.writer.used
    if (batch.writer.used < BATCH_BYTES) return false
    this.#sealed.push(batch)
    this.#open = null
    return true
  }

  /** The oldest batch; a step begun and not ended stays out of it. */
  take(): Batch | undefined {
    const batch = this.#sealed.shift() ?? this.#open ?? undefined
    if (batch === this.#open) this.#open = null
    if (batch !== undefined) this.bytes -= batch.bytes
    return batch === undefined || batch.bytes === 0 ? undefined : batch
  }

  reuse(buffer: ArrayBuffer): void {
    if (buffer.byteLength <= BATCH_BYTES * 2 && this.#pool.length < POOL_MAX) this.#pool.push(buffer)
  }
}

/** Tells each waiting caller its outcome. A callback that throws does not keep the others from theirs. */
export function answerBatch(batch: Batch, buffer: ArrayBuffer | null, error: Error | null): void {
  if (error !== null || buffer === null) {
    for (const done of batch.waiting) call(done, error, 0)
    return
  }
  const reader = new StepReader(buffer, batch.bytes)
  const errors: (DunlinError | undefined)[] = []
  let index = 0
  while (reader.next()) {
    const op = reader.op
    if (op >= Op.begin && op < Op.end) continue
    const done = batch.waiting[index++]!
    if (done === null) continue
    const outcome = reader.outcome
    if (outcome > Outcome.unchanged) call(done, (errors[outcome] ??= outcomeError(outcome)), 0)
    else if (op === Op.end || op === Op.bury) call(done, null, outcome === Outcome.done)
    else call(done, null, outcome === Outcome.done ? reader.result : 0)
  }
}

function call(done: StepDone | null, error: Error | null, value: number | boolean): void {
  if (done === null) return
  try {
    done(error, value as never)
  } catch (thrown) {
    queueMicrotask(() => {
      throw thrown
    })
  }
}

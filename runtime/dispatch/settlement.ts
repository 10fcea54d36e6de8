import { DunlinError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import type { DeadLetterReason } from '../store/store.ts'
import { type Delivery, failedAnswer } from './delivery.ts'
import { Later } from './later.ts'
import { OutcomeWriter, type OutcomeParts } from './outcome-writer.ts'
import type { StateCache } from './state-cache.ts'

/** A step that the store could not take (disk full) is offered again this often. */
const RETRY_MS = 1_000

/** A delivery whose handler has answered. */
export interface Answered {
  readonly delivery: Delivery
  readonly result: Buffer
}

export interface SettlementSettings {
  readonly functionName: string
  /** A successful answer's body is appended to this stream. */
  readonly outputStream: string | null
}

/** The pipeline, as far as it learns what became of the steps. */
export interface SettlementHost {
  /** The step is on its way to the store; what comes after it in the order of its key may start. */
  onTaken(delivery: Delivery): void
  /** The step is committed. `isCounted`: the event had not been settled before. */
  onCommitted(delivery: Delivery, result: Buffer, isCounted: boolean): void
  /** The event is among the dead letters. */
  onBuried(delivery: Delivery, letter: DeadLetterReason): void
  /** It can never be kept. `behind`: outcomes of later events that are known and not settled. */
  onRefused(delivery: Delivery, error: string, behind: readonly Answered[]): void
  /** It was handled ahead of one that failed, and waited here. */
  onVoid(delivery: Delivery, behind: readonly Answered[]): void
  /** Fewer steps are on their way. */
  onProgress(): void
}

/**
 * Brings outcomes into the store, each as one step, in the order of the answers: one whose stream has to be opened first holds up
 * those behind it. What the store has no room for is offered again until it takes it.
 */
export class Settlement {
  readonly #source: number
  readonly #host: SettlementHost
  readonly #parts: OutcomeParts & { readonly logger: Logger; readonly onRows: (streams: ReadonlySet<number>) => void }
  readonly #outcomes: OutcomeWriter
  readonly #later = new Later()
  #settings: SettlementSettings
  /** Outcomes behind one that waits for its stream to be opened: state and outputs are written in the order of the events. */
  #unsettled: Answered[] = []
  #isOpeningStream = false
  #isClosed = false
  #underWay = 0

  constructor(
    source: number,
    settings: SettlementSettings,
    state: StateCache,
    parts: OutcomeParts & { readonly logger: Logger; readonly onRows: (streams: ReadonlySet<number>) => void },
    host: SettlementHost,
  ) {
    this.#source = source
    this.#settings = settings
    this.#parts = parts
    this.#host = host
    this.#outcomes = new OutcomeWriter(source, state, parts)
  }

  /** Steps on their way to the store. */
  get underWay(): number {
    return this.#underWay
  }

  set settings(settings: SettlementSettings) {
    this.#settings = settings
  }

  /** Offers nothing again; what is on its way may still be committed. */
  close(): void {
    this.#isClosed = true
    this.#later.close()
  }

  /** `behind`: outcomes of later events that are known and not settled (run-ahead). */
  settle(delivery: Delivery, result: Buffer, behind: readonly Answered[] = []): void {
    if (this.#isOpeningStream) {
      this.#unsettled.push({ delivery, result })
      return
    }
    const { outputStream, functionName } = this.#settings
    const refusal = this.#outcomes.refusal(delivery, result, outputStream)
    if (refusal !== undefined) return this.#host.onRefused(delivery, refusal, behind)
    const unopened = this.#outcomes.unopenedStream(delivery, outputStream)
    if (unopened !== undefined) return this.#openThenSettle(unopened, delivery, result)
    this.#outcomes.publish(delivery, functionName)
    this.#commit(delivery, result)
    this.#host.onTaken(delivery)
  }

  bury(delivery: Delivery, letter: DeadLetterReason): void {
    this.#underWay++
    this.#parts.store.bury(this.#source, delivery.inboxId, letter, delivery.inboxId > 0 ? null : delivery.record, (error) => {
      this.#underWay--
      if (error) this.#later.after(RETRY_MS, () => this.bury(delivery, letter))
      else this.#host.onBuried(delivery, letter)
    })
  }

  #openThenSettle(stream: string, delivery: Delivery, result: Buffer): void {
    this.#isOpeningStream = true
    this.#underWay++
    const opened = (error?: Error) => {
      this.#isOpeningStream = false
      this.#underWay--
      const behind = this.#unsettled
      this.#unsettled = []
      if (error) this.#host.onRefused(delivery, error.message, behind)
      else this.settle(delivery, result)
      for (const [place, next] of behind.entries()) {
        const later = behind.slice(place + 1)
        if (next.delivery.isVoid) this.#host.onVoid(next.delivery, later)
        else this.settle(next.delivery, next.result, later)
      }
      this.#host.onProgress()
    }
    this.#parts.streams.open(stream).then(() => opened(), opened)
  }

  #commit(delivery: Delivery, result: Buffer): void {
    this.#underWay++
    this.#outcomes.write(delivery, result, this.#settings.outputStream, (error, settled) => {
      this.#underWay--
      if (error) this.#notCommitted(error, delivery, result)
      else {
        this.#host.onCommitted(delivery, result, settled)
        if (this.#outcomes.touched.size > 0) this.#parts.onRows(this.#outcomes.touched)
      }
      this.#host.onProgress()
    })
  }

  /** The handler ran; only keeping its outcome failed. With a full disk or stream the same step is offered again. */
  #notCommitted(error: Error, delivery: Delivery, result: Buffer): void {
    const isFull = error instanceof DunlinError && error.retryable
    if (delivery.reply) return delivery.tell(failedAnswer(isFull ? 507 : 500, error.message))
    // A store that ended: the event is still in the inbox, for the next start.
    if (!isFull || this.#isClosed) return this.#parts.logger.error({ error: error.message }, 'cannot keep the outcome of an event')
    this.#underWay++
    this.#later.after(RETRY_MS, () => {
      this.#underWay--
      this.#commit(delivery, result)
    })
  }
}

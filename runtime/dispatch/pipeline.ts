import type { BatchConfig, ExplicitAckMode } from '../../config/function-config.ts'
import { ceilingMs } from '../base/backoff.ts'
import { codeOf } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { headOf } from '../event/event-writer.ts'
import { findItem } from '../event/head.ts'
import { AT, Flag, Tag } from '../event/record.ts'
import type { DeadLetterReason } from '../store/store.ts'
import type { PoolConsumer, WorkerPool } from '../workers/worker-pool.ts'
import { AvailabilityWatch } from './availability-watch.ts'
import { answerOf, Delivery, failedAnswer, type Answer, type Reply, type StreamReply } from './delivery.ts'
import { gatherBatch, putBackAll } from './gather-batch.ts'
import { GatheredBody, gatheredResult } from './gathered-body.ts'
import type { HandledTap } from './handled-tap.ts'
import { InboxFollower } from './inbox-follower.ts'
import { KeyLanes } from './key-lanes.ts'
import { Later } from './later.ts'
import type { OutcomeParts } from './outcome-writer.ts'
import { RunAhead } from './run-ahead.ts'
import { type Answered, Settlement, type SettlementSettings } from './settlement.ts'
import type { StateCache } from './state-cache.ts'
import { Unacknowledged } from './unacknowledged.ts'

/** Events of one trigger in memory at the most; what comes beyond waits in the inbox, on disk. */
const WINDOW_EVENTS_MAX = 8_192
const WINDOW_BYTES_MAX = 32 * 1024 * 1024
/** Steps on their way to the store; beyond, no new event is started. */
const SETTLING_MAX = 8_192

export interface PipelineSettings extends SettlementSettings {
  readonly maxAttempts: number
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  readonly workerAvailabilityTimeoutMs: number
  readonly orderKey: 'topic' | 'source' | 'none'
  readonly batch: BatchConfig | null
  readonly explicitAckMode: ExplicitAckMode
  readonly explicitAckTimeoutMs: number
  readonly triggerName: string
  readonly version: string
}

/** What all pipelines share. */
export interface PipelineParts extends OutcomeParts {
  readonly tap: HandledTap
  /** Rows were committed to these streams. */
  readonly onRows: (streams: ReadonlySet<number>) => void
  /** A handler failed: for the function's own log. */
  readonly onFailure: (functionName: string, error: string, stack: string, attempt: number) => void
  /** An event that nobody waits for was handled well, and its step is committed. */
  readonly onAnswered?: (triggerName: string, record: Buffer, result: Buffer) => void
  readonly logger: Logger
}

export interface PipelineCounters {
  received: number
  handled: number
  failed: number
  retried: number
  buried: number
  refused: number
}

/**
 * The way of the events of one trigger: committed to the inbox, in order per key, to a worker, and back as ONE step of the
 * store. Nothing is answered before that step is committed. What fails is tried again and, at last, goes to the dead letters.
 *
 * running -> paused (a version is replaced) -> running ... -> closed
 */
export class Pipeline implements PoolConsumer {
  readonly counters: PipelineCounters = { received: 0, handled: 0, failed: 0, retried: 0, buried: 0, refused: 0 }
  readonly source: number
  readonly #parts: PipelineParts
  readonly #settlement: Settlement
  readonly #inbox: InboxFollower
  readonly #lanes = new KeyLanes()
  readonly #ahead = new RunAhead()
  readonly #availability = new AvailabilityWatch({
    lanes: this.#lanes,
    limitMs: () => this.#settings.workerAvailabilityTimeoutMs + (this.#settings.batch?.timeoutMs ?? 0),
    onLate: (delivery, limitMs) => this.#tooLate(delivery, limitMs),
  })
  readonly #unacknowledged = new Unacknowledged((delivery) => {
    this.#failed(delivery, `It was not acknowledged within ${this.#settings.explicitAckTimeoutMs} ms`, '', null)
    this.#tellIdle()
    this.#askPump()
  })
  readonly #later = new Later()
  #settings: PipelineSettings
  #pool: WorkerPool | undefined
  #isPaused = false
  #isClosed = false
  #bytes = 0
  #started = 0
  /** Events that are being moved to the inbox. */
  #spilling = 0
  #isPumpAsked = false
  /** Armed only while events wait for their batch to be complete. */
  #batchTimer: NodeJS.Timeout | undefined
  /** The batch whose failure was told last. */
  #toldBatch = 0
  #isNoAckTold = false
  #idle: (() => void)[] = []

  constructor(source: number, settings: PipelineSettings, state: StateCache, parts: PipelineParts) {
    this.source = source
    this.#settings = settings
    this.#parts = parts
    this.#settlement = new Settlement(source, settings, state, parts, {
      onTaken: (delivery) => {
        this.#release(delivery)
        this.#ahead.good()
      },
      onCommitted: (delivery, result, isCounted) => {
        if (isCounted) this.counters.handled++
        this.#answer(delivery, result)
      },
      onBuried: (delivery, letter) => this.#buried(delivery, letter),
      onRefused: (delivery, error, behind) => this.#failed(delivery, error, '', null, 500, behind),
      onVoid: (delivery, behind) => this.#takeBack(delivery, behind),
      onProgress: () => {
        this.#tellIdle()
        if (this.#lanes.readyCount > 0 || this.#inbox.isBehind) this.#askPump()
      },
    })
    this.#inbox = new InboxFollower(parts.store, source, parts.logger, ({ record, inboxId, attempt }) =>
      this.#queue(new Delivery(record, inboxId, this.#keyOf(record), attempt, null, performance.now())),
    )
  }

  /** Events in memory: waiting, running, or between two tries. */
  get waiting(): number {
    return this.#lanes.size
  }

  get isBusy(): boolean {
    return this.#lanes.size > 0 || this.#unacknowledged.size > 0 || this.#inbox.isBehind
  }

  get oldestWaitMs(): number {
    const oldest = this.#isPaused ? undefined : this.#lanes.peek()
    // Waiting for others of its batch is no sign that workers are short.
    return oldest ? Math.max(0, performance.now() - oldest.sinceMs - (this.#settings.batch?.timeoutMs ?? 0)) : 0
  }

  /** Gives it (new) workers and settings, and lets it run. */
  resume(pool: WorkerPool, settings: PipelineSettings): void {
    this.#pool = pool
    this.#settings = settings
    this.#settlement.settings = settings
    this.#unacknowledged.timeoutMs = settings.explicitAckTimeoutMs
    this.#isPaused = false
    void this.#inbox.read()
    this.onRoom()
  }

  /** Starts no new event; resolves when those that run have ended, are acknowledged and settled. */
  pause(): Promise<void> {
    this.#isPaused = true
    if (this.#unacknowledged.size > 0) this.#pool?.drain()
    return this.#isIdle() ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Stops for good. Events that did not end stay in the inbox. */
  close(): void {
    this.#isClosed = true
    this.#isPaused = true
    this.#inbox.close()
    this.#later.close()
    this.#settlement.close()
    this.#availability.close()
    clearTimeout(this.#batchTimer)
    this.#unacknowledged.close()
    for (let delivery = this.#lanes.take(); delivery; delivery = this.#lanes.take()) {
      delivery.reply?.(failedAnswer(503, 'The function was stopped'))
    }
    this.#tellIdle()
  }

  /** Durable delivery: `done` comes when the event is committed; or with an error, and then nothing was kept. */
  accept(record: Buffer, done: (error: Error | null) => void): void {
    this.counters.received++
    this.#parts.store.accept(this.source, record, (error, inboxId) => {
      if (error) {
        this.counters.refused++
        return done(error)
      }
      done(null)
      if (this.#inbox.take(inboxId, this.#hasRoom())) {
        this.#queue(new Delivery(record, inboxId, this.#keyOf(record), 0, null, performance.now()))
      } else this.#askPump()
    })
  }

  /**
   * Direct delivery. With `reply` the caller waits: it gets the answer after the step is committed, and a failure is told, not
   * retried. Without, the event is retried and buried like any other, but kept in memory only; when memory is full, it is
   * accepted durably instead. With `onStream` the caller takes an answer in parts.
   */
  invoke(record: Buffer, reply: Reply | null, onStream: StreamReply | null = null): void {
    if (this.#isClosed) return reply?.(failedAnswer(503, 'The function was stopped'))
    if (!this.#hasRoom()) {
      if (!reply) return this.accept(record, () => {})
      this.counters.refused++
      return reply(failedAnswer(503, 'Too many events wait for this function'))
    }
    this.counters.received++
    const key = reply && this.#settings.orderKey !== 'source' ? '' : this.#keyOf(record)
    const delivery = new Delivery(record, 0, key, 0, reply, performance.now())
    delivery.onStream = onStream
    this.#queue(delivery)
    this.#availability.start()
  }

  /** Events came into the inbox from another source. */
  inboxGrew(): void {
    this.#inbox.fallBehind()
    this.#askPump()
  }

  /** A dead letter was put back into the inbox. */
  requeue(record: Buffer, inboxId: number): void {
    if (this.#inbox.takeReplayed(inboxId)) this.#queue(new Delivery(record, inboxId, this.#keyOf(record), 0, null, performance.now()))
    else void this.#inbox.read()
  }

  onResult(delivery: Delivery, given: Buffer): void {
    this.#started--
    const result = delivery.stream === null ? given : gatheredResult(delivery, given)
    const isNoAck = (result[AT.flags]! & Flag.noAck) !== 0
    if (delivery.isVoid) this.#takeBack(delivery)
    else if (result.readUInt16LE(AT.status) >= 500) this.#onFailure(delivery, result)
    else if (delivery.earlyAck) this.#failed(delivery, delivery.earlyAck, '', null)
    else if (isNoAck && this.#settings.explicitAckMode !== 'disable') this.#keepUnacknowledged(delivery, result)
    else if (delivery.inboxId === 0 && delivery.operations.length === 0 && this.#settings.outputStream === null) {
      // A direct event that changed nothing: no step, no fsync.
      this.counters.handled++
      this.#answer(delivery, result)
      this.#release(delivery)
    } else this.#settlement.settle(delivery, result)
    if (isNoAck && this.#settings.explicitAckMode === 'disable') this.#tellNoAckHasNoEffect()
    this.#askPump()
  }

  onAck(delivery: Delivery, error: string | null): void {
    const result = this.#unacknowledged.take(delivery)
    if (result === undefined) {
      delivery.earlyAck = error ?? ''
      return
    }
    if (error === null) this.#settlement.settle(delivery, result)
    else this.#failed(delivery, error, '', null)
    this.#tellIdle()
    this.#askPump()
  }

  /** To a caller that takes parts; all others get them as one body. So does the output stream. */
  onStream(delivery: Delivery, head: Answer): void {
    const isKept = this.#settings.outputStream !== null
    if (delivery.onStream && delivery.reply && !delivery.isVoid && !isKept) {
      delivery.isStreaming = true
      delivery.streamedStatus = head.status
      delivery.onStream(head, delivery.stream!)
    } else delivery.gathered = new GatheredBody(head, delivery.stream!, delivery.reply !== null || isKept)
  }

  onLost(delivery: Delivery, error: Error, counted: boolean): void {
    this.#started--
    delivery.isVoid = false
    // A caller that has a part of the answer cannot be given another one.
    if (counted || delivery.isStreaming)
      this.#failed(delivery, error.message, error.stack ?? '', null, codeOf(error) === 'event-timeout' ? 408 : 502)
    else this.#lanes.putBack(delivery)
    this.#askPump()
  }

  onRoom(): void {
    if (this.#started === 0 && this.#pool && this.#pool.readyCount > 0) {
      this.#lanes.way = this.#settings.batch ? 'batches' : this.#pool.isSequential ? 'runAhead' : 'lanes'
    }
    this.#askPump()
  }

  #hasRoom(): boolean {
    return this.#lanes.size < WINDOW_EVENTS_MAX && this.#bytes < WINDOW_BYTES_MAX
  }

  #queue(delivery: Delivery): void {
    this.#bytes += delivery.record.length
    this.#lanes.push(delivery)
    this.#askPump()
  }

  #release(delivery: Delivery): void {
    this.#bytes -= delivery.record.length
    if (!delivery.isDetached) this.#lanes.release(delivery)
    this.#tellIdle()
  }

  #askPump(): void {
    if (this.#isPumpAsked) return
    this.#isPumpAsked = true
    // At the end of this turn of the loop: all that it brought goes to the workers with one doorbell.
    setImmediate(this.#pump)
  }

  readonly #pump = (): void => {
    this.#isPumpAsked = false
    const pool = this.#pool
    if (this.#isPaused || !pool) return
    const isOffered = this.#settings.batch ? this.#giveBatches(pool, this.#settings.batch) : this.#giveEvents(pool)
    if (isOffered) pool.flush()
    if (this.#inbox.isBehind && this.#lanes.size < WINDOW_EVENTS_MAX / 2) void this.#inbox.read()
  }

  #mayStart(): boolean {
    if (this.#settlement.underWay >= SETTLING_MAX || this.#started >= this.#ahead.max) return false
    return this.#settings.explicitAckMode === 'disable' || this.#unacknowledged.hasRoom(this.#started)
  }

  #giveEvents(pool: WorkerPool): boolean {
    let isOffered = false
    while (this.#mayStart()) {
      const delivery = this.#lanes.take()
      if (!delivery) break
      this.#ahead.mark(delivery)
      if (!pool.offer(delivery, this)) {
        this.#lanes.untake(delivery)
        break
      }
      this.#ahead.given()
      this.#started++
      isOffered = true
    }
    return isOffered
  }

  #giveBatches(pool: WorkerPool, config: BatchConfig): boolean {
    clearTimeout(this.#batchTimer)
    this.#batchTimer = undefined
    let isOffered = false
    while (this.#mayStart()) {
      const { batch, waitMs } = gatherBatch(this.#lanes, config, performance.now())
      if (batch.length === 0) break
      if (waitMs > 0) {
        this.#batchTimer = setTimeout(() => this.#askPump(), Math.ceil(waitMs))
        break
      }
      if (!pool.offerBatch(batch, this)) {
        putBackAll(this.#lanes, batch)
        break
      }
      for (const delivery of batch) this.#lanes.given(delivery)
      this.#started += batch.length
      isOffered = true
    }
    return isOffered
  }

  #keyOf(record: Buffer): string {
    if (this.#settings.orderKey === 'none') return ''
    return (this.#settings.orderKey === 'topic' && findItem(headOf(record), Tag.topic)) || '*'
  }

  #onFailure(delivery: Delivery, result: Buffer): void {
    const head = headOf(result)
    const error = findItem(head, Tag.error) ?? `Handler answered status ${result.readUInt16LE(AT.status)}`
    const stack = findItem(head, Tag.stack) ?? ''
    if (delivery.batch === 0 || (result[AT.flags]! & Flag.batchFailed) === 0) return this.#failed(delivery, error, stack, result)
    // Nobody knows which event did it: each is tried once more alone, and only then counted.
    if (delivery.batch !== this.#toldBatch) {
      this.#toldBatch = delivery.batch
      this.counters.failed++
      this.#parts.onFailure(this.#settings.functionName, `batch failed, its events are tried one by one: ${error}`, stack, delivery.attempt)
    }
    this.counters.retried++
    delivery.isAlone = true
    delivery.dropAttempt()
    this.#lanes.putBack(delivery)
  }

  /** It stays in the inbox, and what it asked for waits with it; the next event of its key goes on. */
  #keepUnacknowledged(delivery: Delivery, result: Buffer): void {
    this.#lanes.release(delivery)
    delivery.isDetached = true
    this.#unacknowledged.add(delivery, result)
    if (this.#isPaused) this.#pool?.drain()
  }

  #tellNoAckHasNoEffect(): void {
    if (this.#isNoAckTold) return
    this.#isNoAckTold = true
    this.#parts.logger.warn(
      { function: this.#settings.functionName },
      'the handler wants to acknowledge an event later, and the trigger does not allow it: set explicitAckMode: enable',
    )
  }

  #answer(delivery: Delivery, result: Buffer): void {
    const { tap } = this.#parts
    if (tap.isOpen) tap.take(this.#settings.functionName, this.#settings.triggerName, delivery, result)
    if (delivery.reply) delivery.tell(answerOf(result))
    else this.#parts.onAnswered?.(this.#settings.triggerName, delivery.record, result)
  }

  /** `behind`: outcomes of later events that are known and not settled (run-ahead). */
  #failed(delivery: Delivery, error: string, stack: string, result: Buffer | null, status = 500, behind: readonly Answered[] = []): void {
    this.counters.failed++
    const { maxAttempts, retryFirstMs, retryMaxMs, functionName, version } = this.#settings
    this.#parts.onFailure(functionName, error, stack, delivery.attempt)
    if (this.#lanes.way === 'runAhead' && !delivery.isDetached) {
      this.#ahead.failed(delivery, (visit) => {
        for (const next of behind) visit(next.delivery)
        this.#pool?.forEachInFlight(visit)
      })
    }
    delivery.dropAttempt()
    if (delivery.reply) {
      delivery.tell(result ? answerOf(result) : failedAnswer(status, error))
      return this.#release(delivery)
    }
    delivery.failures++
    if (!delivery.isDetached) this.#lanes.hold(delivery)
    if (delivery.failures >= maxAttempts) {
      return this.#settlement.bury(delivery, { function: functionName, version, error, stack, attempts: delivery.failures })
    }
    this.counters.retried++
    if (delivery.inboxId > 0) this.#parts.store.retryLater(delivery.inboxId, delivery.failures)
    this.#later.after(ceilingMs(delivery.failures, { firstMs: retryFirstMs, maxMs: retryMaxMs }), () => {
      this.#tryAgain(delivery)
      this.#askPump()
    })
  }

  /** At the front; one that had left the order of its key stands in line again. */
  #tryAgain(delivery: Delivery): void {
    if (!delivery.isDetached) return this.#lanes.untake(delivery)
    delivery.isDetached = false
    this.#lanes.push(delivery)
  }

  #buried(delivery: Delivery, { error, attempts, function: name }: DeadLetterReason): void {
    this.counters.buried++
    this.#parts.logger.warn({ error, attempts, function: name }, 'event went to the dead letters')
    this.#release(delivery)
    this.#askPump()
  }

  #takeBack(delivery: Delivery, behind: readonly Answered[] = []): void {
    delivery.forget?.()
    delivery.forget = null
    if (delivery.isStreaming) {
      delivery.isVoid = false
      return this.#failed(delivery, 'It was handled ahead of an event that failed, and its caller has a part of the answer', '', null)
    }
    this.#ahead.takenBack(delivery, (visit) => {
      for (const next of behind) visit(next.delivery)
      this.#pool?.forEachInFlight(visit)
    })
    delivery.dropAttempt()
    this.#lanes.putBack(delivery)
  }

  /** A caller is told so, an event without one goes to the inbox. */
  #tooLate(delivery: Delivery, limitMs: number): void {
    if (!delivery.reply) return this.#spill(delivery)
    this.counters.refused++
    delivery.reply(failedAnswer(503, `No worker was free within ${limitMs} ms`))
    this.#release(delivery)
  }

  /** A direct event that nobody waits for, and no worker either, is kept on disk from now on. Its key waits until it is there. */
  #spill(delivery: Delivery): void {
    this.#spilling++
    this.#lanes.hold(delivery)
    this.#parts.store.accept(this.source, delivery.record, (error, inboxId) => {
      this.#spilling--
      // A full store: it stays in memory, where it was.
      if (error || this.#inbox.take(inboxId, true)) {
        if (!error) delivery.inboxId = inboxId
        this.#lanes.untake(delivery)
      } else this.#release(delivery)
      this.#tellIdle()
      this.#askPump()
    })
  }

  #isIdle(): boolean {
    return this.#started === 0 && this.#settlement.underWay === 0 && this.#spilling === 0 && this.#unacknowledged.size === 0
  }

  #tellIdle(): void {
    if (!this.#isPaused || !this.#isIdle() || this.#idle.length === 0) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}

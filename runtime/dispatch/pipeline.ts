import { WIRE_PAYLOAD_BYTES_MAX } from '../../config/wire.ts'
import { ceilingMs } from '../base/backoff.ts'
import { codeOf, DunlinError } from '../base/errors.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../base/log.ts'
import type { UuidSource } from '../base/uuid.ts'
import { getU64, headOf, bodyOf, putU64 } from '../event/event-writer.ts'
import { findItem } from '../event/head.ts'
import { AT, CLOCK_QUALITIES, CLOCK_SHIFT, Kind, Tag } from '../event/record.ts'
import { RECORD_BYTES_MAX, STATE_KEY_BYTES_MAX } from '../store/limits.ts'
import type { Store } from '../store/store.ts'
import type { PoolConsumer, WorkerPool } from '../workers/worker-pool.ts'
import { answerOf, Delivery, failedAnswer, type Reply } from './delivery.ts'
import { KeyLanes } from './key-lanes.ts'
import type { StateCache } from './state-cache.ts'
import type { StreamDirectory } from './stream-directory.ts'

/** Events of one trigger in memory at the most; what comes beyond waits in the inbox, on disk. */
const WINDOW_EVENTS_MAX = 8_192
const WINDOW_BYTES_MAX = 32 * 1024 * 1024
/** Read from the inbox at a time. */
const REFILL_ROWS = 4_096
const REFILL_BYTES = 8 * 1024 * 1024
/** A step that the store could not take (disk full) is offered again this often. */
const SETTLE_RETRY_MS = 1_000
/** Steps on their way to the store; beyond, no new event is started. */
const SETTLING_MAX = 8_192

/** In an EVENT's status: forget what you remember of the state (docs/ring.md). */
const FORGET_STATE = 1
/** Run-ahead after a failure: so many at the worker at once, doubled after each so many good ones, until there is no limit again. */
const AHEAD_AFTER_FAILURE = 8
const GOOD_TO_GROW = 64
const AHEAD_FULL = 1_024
/** One emitted record: it must fit, uncompressed and with its frame, into one message to the hub. */
const EMIT_BYTES_MAX = WIRE_PAYLOAD_BYTES_MAX - 4_096

export interface PipelineSettings {
  readonly maxAttempts: number
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  readonly workerAvailabilityTimeoutMs: number
  readonly orderKey: 'topic' | 'source' | 'none'
  readonly functionName: string
  readonly version: string
  /** A successful answer's body is appended to this stream. */
  readonly outputStream: string | null
}

/** What all pipelines share. */
export interface PipelineParts {
  readonly store: Store
  readonly streams: StreamDirectory
  readonly clock: Clock
  readonly ids: UuidSource
  /** Takes a PUBLISH record to the local broker and to the triggers that listen there. */
  readonly publish: (record: Buffer, functionName: string) => void
  /** Rows were committed to these streams. */
  readonly onRows: (streams: ReadonlySet<number>) => void
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
 * store — input acked, outputs appended, state changed, counted. Nothing is answered before that step is committed.
 *
 * Two modes of reading. Following: a committed event goes straight to its lane. Behind (at start, or when the window was full):
 * events are read from the inbox in order until it has nothing newer; then it follows again. An event is never skipped,
 * because both modes go by inbox id.
 */
export class Pipeline implements PoolConsumer {
  readonly counters: PipelineCounters = { received: 0, handled: 0, failed: 0, retried: 0, buried: 0, refused: 0 }
  readonly source: number
  readonly #parts: PipelineParts
  readonly #state: StateCache
  readonly #lanes = new KeyLanes()
  readonly #retries = new Set<NodeJS.Timeout>()
  #settings: PipelineSettings
  #pool: WorkerPool | undefined
  #paused = false
  #closed = false
  #bytes = 0
  #started = 0
  #settling = 0
  #behind = true
  #reading = false
  #lastQueuedId = 0
  #pumpAsked = false
  #availabilityTimer: NodeJS.Timeout | undefined
  /** Streams this pipeline has emitted to. */
  readonly #touched = new Set<number>()
  #idle: (() => void)[] = []
  /** Run-ahead: events at the worker at once. Small after a failure, because what was ahead of it is handled twice. */
  #aheadMax = Infinity
  #goodInARow = 0
  /** The worker has seen state of an event that was taken back: the next event tells it to forget. */
  #mustForget = false

  constructor(source: number, settings: PipelineSettings, state: StateCache, parts: PipelineParts) {
    this.source = source
    this.#settings = settings
    this.#state = state
    this.#parts = parts
  }

  /** Events in memory: waiting, running, or between two tries. */
  get waiting(): number {
    return this.#lanes.size
  }

  get inFlight(): number {
    return this.#started
  }

  /** Gives it (new) workers and settings, and lets it run. */
  resume(pool: WorkerPool, settings: PipelineSettings): void {
    this.#pool = pool
    this.#settings = settings
    this.#paused = false
    void this.#refill()
    this.#askPump()
  }

  /** Starts no new event; resolves when those that run have ended and are settled. */
  pause(): Promise<void> {
    this.#paused = true
    return this.#started === 0 && this.#settling === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Stops for good. Events that did not end stay in the inbox. */
  close(): void {
    this.#closed = true
    this.#paused = true
    for (const timer of this.#retries) clearTimeout(timer)
    this.#retries.clear()
    clearTimeout(this.#availabilityTimer)
    for (let delivery = this.#lanes.take(); delivery; delivery = this.#lanes.take()) {
      delivery.reply?.(failedAnswer(503, 'The function was stopped'))
    }
    this.#settleIdle()
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
      if (this.#behind || this.#lanes.size >= WINDOW_EVENTS_MAX || this.#bytes >= WINDOW_BYTES_MAX) {
        this.#behind = true
        this.#askPump()
      } else {
        this.#lastQueuedId = inboxId
        this.#queue(new Delivery(record, inboxId, this.#keyOf(record), 0, null, performance.now()))
      }
    })
  }

  /**
   * Direct delivery. With `reply` the caller waits: it gets the answer after the step is committed, and a failure is told, not
   * retried. Without, the event is retried and buried like any other, but kept in memory only; when memory is full, it is
   * accepted durably instead.
   */
  invoke(record: Buffer, reply: Reply | null): void {
    if (this.#closed) return reply?.(failedAnswer(503, 'The function was stopped'))
    if (this.#lanes.size >= WINDOW_EVENTS_MAX || this.#bytes >= WINDOW_BYTES_MAX) {
      if (!reply) return this.accept(record, () => {})
      this.counters.refused++
      return reply(failedAnswer(503, 'Too many events wait for this function'))
    }
    this.counters.received++
    const key = reply && this.#settings.orderKey !== 'source' ? '' : this.#keyOf(record)
    this.#queue(new Delivery(record, 0, key, 0, reply, performance.now()))
    if (reply && !this.#availabilityTimer) this.#watchAvailability(this.#settings.workerAvailabilityTimeoutMs)
  }

  /** A dead letter was put back into the inbox under an id below those already read: it is queued by hand. */
  requeue(record: Buffer, inboxId: number): void {
    if (this.#behind && inboxId > this.#lastQueuedId) return void this.#refill()
    this.#lastQueuedId = Math.max(this.#lastQueuedId, inboxId)
    this.#queue(new Delivery(record, inboxId, this.#keyOf(record), 0, null, performance.now()))
  }

  onResult(delivery: Delivery, result: Buffer): void {
    this.#started--
    if (delivery.isVoid) {
      this.#takeBack(delivery)
    } else if (result.readUInt16LE(AT.status) >= 500) {
      const head = headOf(result)
      const error = findItem(head, Tag.error) ?? `Handler answered status ${result.readUInt16LE(AT.status)}`
      this.#failed(delivery, error, findItem(head, Tag.stack) ?? '', result)
    } else if (delivery.inboxId === 0 && delivery.operations.length === 0 && this.#settings.outputStream === null) {
      // A direct event that changed nothing: no step, no fsync.
      this.counters.handled++
      delivery.reply?.(answerOf(result))
      this.#release(delivery)
    } else {
      this.#settle(delivery, result)
    }
    this.#askPump()
  }

  onLost(delivery: Delivery, error: Error, counted: boolean): void {
    this.#started--
    delivery.isVoid = false
    if (counted) this.#failed(delivery, error.message, error.stack ?? '', null, codeOf(error) === 'event-timeout' ? 408 : 502)
    else this.#lanes.putBack(delivery)
    this.#askPump()
  }

  onRoom(): void {
    if (this.#started === 0 && this.#pool && this.#pool.readyCount > 0) this.#lanes.isRunAhead = this.#pool.isSequential
    this.#askPump()
  }

  #queue(delivery: Delivery): void {
    this.#bytes += delivery.record.length
    this.#lanes.push(delivery)
    this.#askPump()
  }

  #release(delivery: Delivery): void {
    this.#bytes -= delivery.record.length
    this.#lanes.release(delivery)
    this.#settleIdle()
  }

  #askPump(): void {
    if (this.#pumpAsked) return
    this.#pumpAsked = true
    // At the end of this turn of the loop: all that it brought goes to the workers with one doorbell.
    setImmediate(this.#pump)
  }

  readonly #pump = (): void => {
    this.#pumpAsked = false
    const pool = this.#pool
    if (this.#paused || !pool) return
    let offered = false
    while (this.#settling < SETTLING_MAX && this.#started < this.#aheadMax) {
      const delivery = this.#lanes.take()
      if (!delivery) break
      if (this.#mustForget) delivery.record.writeUInt16LE(FORGET_STATE, AT.status)
      if (!pool.offer(delivery)) {
        this.#lanes.untake(delivery)
        break
      }
      this.#started++
      this.#mustForget = false
      offered = true
    }
    if (offered) pool.flush()
    if (this.#behind && this.#lanes.size < WINDOW_EVENTS_MAX / 2) void this.#refill()
  }

  async #refill(): Promise<void> {
    if (this.#reading || this.#closed || !this.#behind) return
    this.#reading = true
    try {
      const rows = await this.#parts.store.readInbox(this.source, this.#lastQueuedId, REFILL_ROWS, REFILL_BYTES)
      if (this.#closed) return
      // The store answers in order: an event committed after this read is told after it, and is queued then.
      if (rows.length === 0) this.#behind = false
      const now = performance.now()
      for (const row of rows) {
        this.#lastQueuedId = row.inboxId
        this.#queue(new Delivery(row.record, row.inboxId, this.#keyOf(row.record), row.attempt, null, now))
      }
    } catch (error) {
      // The store says itself, once, when it cannot go on; reading again is for the next start.
      this.#parts.logger.error({ error: (error as Error).message }, 'cannot read the inbox')
    } finally {
      this.#reading = false
    }
  }

  #keyOf(record: Buffer): string {
    if (this.#settings.orderKey === 'none') return ''
    return (this.#settings.orderKey === 'topic' && findItem(headOf(record), Tag.topic)) || '*'
  }

  /**
   * Run-ahead: an event failed, and later ones are at the worker already. Those of its key must come after it; and if state was
   * written that will not be kept, everything that may have read it is handled again too.
   */
  #takeBackWhatIsAhead(failed: Delivery): void {
    this.#aheadMax = AHEAD_AFTER_FAILURE
    this.#goodInARow = 0
    const everything = failed.operations.some(changesState)
    if (everything) this.#mustForget = true
    this.#pool?.forEachInFlight((delivery) => {
      if (everything || (delivery.key === failed.key && delivery.key !== '')) delivery.isVoid = true
    })
  }

  #takeBack(delivery: Delivery): void {
    delivery.isVoid = false
    if (delivery.operations.some(changesState)) {
      this.#mustForget = true
      this.#pool?.forEachInFlight((other) => {
        other.isVoid = true
      })
    }
    delivery.dropOperations()
    this.#lanes.putBack(delivery)
  }

  #growAhead(): void {
    if (++this.#goodInARow < GOOD_TO_GROW) return
    this.#goodInARow = 0
    this.#aheadMax = this.#aheadMax * 2 > AHEAD_FULL ? Infinity : this.#aheadMax * 2
  }

  /** ONE step: publishes first (they are inputs of other triggers, in the same or an earlier commit), then ack + emits + state. */
  #settle(delivery: Delivery, result: Buffer): void {
    const operations = delivery.operations
    for (const operation of operations) {
      const refusal = refusalOf(operation)
      if (refusal !== undefined) return this.#failed(delivery, refusal, '', null)
      if (operation[AT.kind] !== Kind.emit) continue
      const name = findItem(headOf(operation), Tag.stream) ?? ''
      const stream = this.#parts.streams.idOf(name)
      if (stream === undefined) return this.#openThenSettle(name, delivery, result)
      operation.writeUInt16LE(stream, AT.source)
    }
    const { outputStream } = this.#settings
    if (outputStream !== null && result.length > EMIT_BYTES_MAX) {
      return this.#failed(
        delivery,
        `Cannot keep an answer of ${result.length} bytes in stream ${outputStream}: at most ${EMIT_BYTES_MAX}`,
        '',
        null,
      )
    }
    if (outputStream !== null && this.#parts.streams.idOf(outputStream) === undefined) {
      return this.#openThenSettle(outputStream, delivery, result)
    }
    for (const operation of operations) {
      if (operation[AT.kind] === Kind.publish) this.#parts.publish(operation, this.#settings.functionName)
    }
    this.#commit(delivery, result)
    this.#release(delivery)
    if (this.#aheadMax !== Infinity) this.#growAhead()
  }

  #openThenSettle(stream: string, delivery: Delivery, result: Buffer): void {
    this.#settling++
    this.#parts.streams.open(stream).then(
      () => {
        this.#settling--
        this.#settle(delivery, result)
      },
      (error: Error) => {
        this.#settling--
        this.#failed(delivery, error.message, '', null)
      },
    )
  }

  #commit(delivery: Delivery, result: Buffer): void {
    const { store, streams } = this.#parts
    const { outputStream } = this.#settings
    this.#settling++
    store.begin(this.source, delivery.inboxId)
    for (const operation of delivery.operations) {
      switch (operation[AT.kind]) {
        case Kind.emit: {
          const stream = operation.readUInt16LE(AT.source)
          this.#stamp(operation)
          store.emit(stream, operation)
          this.#touched.add(stream)
          break
        }
        case Kind.stateSet: {
          const key = findItem(headOf(operation), Tag.key) ?? ''
          const value = bodyOf(operation)
          store.setState(this.#state.fn, key, value)
          this.#state.put(key, value)
          break
        }
        case Kind.stateDelete: {
          const key = findItem(headOf(operation), Tag.key) ?? ''
          store.deleteState(this.#state.fn, key)
          this.#state.put(key, null)
          break
        }
      }
    }
    if (outputStream !== null && result.readUInt32LE(AT.bodyLength) > 0) {
      const output = Buffer.from(result)
      output[AT.kind] = Kind.emit
      output.fill(0, AT.ticket, AT.ticket + 8)
      this.#stamp(output)
      store.emit(streams.idOf(outputStream)!, output)
      this.#touched.add(streams.idOf(outputStream)!)
    }
    store.end((error, settled) => this.#onCommitted(error, settled, delivery, result))
  }

  #onCommitted(error: Error | null, settled: boolean, delivery: Delivery, result: Buffer): void {
    this.#settling--
    if (error) {
      if (delivery.reply) delivery.reply(failedAnswer(isRetryable(error) ? 507 : 500, error.message))
      else if (isRetryable(error)) this.#commitLater(delivery, result)
      // A store that ended: the event is still in the inbox, for the next start.
      else this.#parts.logger.error({ error: error.message }, 'cannot keep the outcome of an event')
    } else {
      if (settled) this.counters.handled++
      delivery.reply?.(answerOf(result))
      if (this.#touched.size > 0) this.#parts.onRows(this.#touched)
    }
    this.#settleIdle()
    if (this.#lanes.readyCount > 0 || this.#behind) this.#askPump()
  }

  /** The handler ran; only keeping its outcome failed (disk or stream full). The same step is offered again. */
  #commitLater(delivery: Delivery, result: Buffer): void {
    if (this.#closed) return
    this.#settling++
    this.#later(SETTLE_RETRY_MS, () => {
      this.#settling--
      this.#commit(delivery, result)
    })
  }

  #failed(delivery: Delivery, error: string, stack: string, result: Buffer | null, status = 500): void {
    this.counters.failed++
    if (this.#lanes.isRunAhead) this.#takeBackWhatIsAhead(delivery)
    delivery.dropOperations()
    if (delivery.reply) {
      delivery.reply(result ? answerOf(result) : failedAnswer(status, error))
      return this.#release(delivery)
    }
    delivery.failures++
    const { maxAttempts, retryFirstMs, retryMaxMs, functionName, version } = this.#settings
    if (delivery.failures >= maxAttempts)
      return this.#bury(delivery, { function: functionName, version, error, stack, attempts: delivery.failures })
    this.counters.retried++
    this.#lanes.hold(delivery)
    if (delivery.inboxId > 0) this.#parts.store.retryLater(delivery.inboxId, delivery.failures)
    this.#later(ceilingMs(delivery.failures, { firstMs: retryFirstMs, maxMs: retryMaxMs }), () => {
      this.#lanes.untake(delivery)
      this.#askPump()
    })
  }

  #bury(delivery: Delivery, letter: Parameters<Store['bury']>[2]): void {
    this.#settling++
    this.#parts.store.bury(this.source, delivery.inboxId, letter, delivery.inboxId > 0 ? null : delivery.record, (error) => {
      this.#settling--
      if (error) {
        this.#later(SETTLE_RETRY_MS, () => this.#bury(delivery, letter))
        return
      }
      this.counters.buried++
      this.#parts.logger.warn(
        { error: letter.error, attempts: letter.attempts, function: letter.function },
        'event went to the dead letters',
      )
      this.#release(delivery)
      this.#askPump()
    })
  }

  #later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer)
      act()
    }, ms)
    this.#retries.add(timer)
  }

  /** An emitted event gets its identity from the agent: a guest needs no clock and no randomness. */
  #stamp(record: Buffer): void {
    if (getU64(record, AT.timeUs) !== 0) return
    const { clock, ids } = this.#parts
    const timeUs = clock.nowUs()
    putU64(record, AT.timeUs, timeUs)
    putU64(record, AT.monotonicNs, clock.monotonicNs())
    ids.write(record, AT.id, timeUs / 1000)
    record.writeUInt32LE(this.#parts.store.boot, AT.boot)
    record[AT.flags] = CLOCK_QUALITIES.indexOf(clock.quality) << CLOCK_SHIFT
  }

  #watchAvailability(ms: number): void {
    this.#availabilityTimer = setTimeout(() => {
      this.#availabilityTimer = undefined
      const limitMs = this.#settings.workerAvailabilityTimeoutMs
      const now = performance.now()
      for (let oldest = this.#lanes.peek(); oldest?.reply && oldest.sinceMs + limitMs <= now; oldest = this.#lanes.peek()) {
        this.#lanes.take()
        this.counters.refused++
        oldest.reply(failedAnswer(503, `No worker was free within ${limitMs} ms`))
        this.#release(oldest)
      }
      const next = this.#lanes.peek()
      if (next?.reply) this.#watchAvailability(Math.max(1, next.sinceMs + limitMs - now))
    }, ms)
  }

  #settleIdle(): void {
    if (!this.#paused || this.#started > 0 || this.#settling > 0 || this.#idle.length === 0) return
    const waiting = this.#idle
    this.#idle = []
    for (const resolve of waiting) resolve()
  }
}

/** What a handler asked for and the store can never keep. */
function refusalOf(operation: Buffer): string | undefined {
  const kind = operation[AT.kind]
  const bytesMax = kind === Kind.emit ? EMIT_BYTES_MAX : RECORD_BYTES_MAX
  if (operation.length > bytesMax) return `Cannot keep ${operation.length} bytes in one piece: at most ${bytesMax}`
  if (kind !== Kind.stateSet && kind !== Kind.stateDelete) return undefined
  const keyBytes = Buffer.byteLength(findItem(headOf(operation), Tag.key) ?? '')
  return keyBytes >= 1 && keyBytes <= STATE_KEY_BYTES_MAX
    ? undefined
    : `Cannot use a state key of ${keyBytes} bytes: expected 1 to ${STATE_KEY_BYTES_MAX}`
}

function changesState(operation: Buffer): boolean {
  const kind = operation[AT.kind]
  return kind === Kind.stateSet || kind === Kind.stateDelete
}

const isRetryable = (error: Error): boolean => error instanceof DunlinError && error.retryable

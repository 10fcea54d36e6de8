import { DunlinError, FunctionError, ProtocolError } from '../base/errors.ts'
import { findItem } from '../event/head.ts'
import { AT, Flag, Kind, LOG_LEVELS, RECORD_HEADER_BYTES, Tag, recordSize } from '../event/record.ts'
import { logLevelOf, putU64 } from '../event/event-writer.ts'
import type { Channel, RecordView } from '../shared-memory/channel.ts'
import { AnswerStream } from '../dispatch/answer-stream.ts'
import { answerOf, type Delivery } from '../dispatch/delivery.ts'
import { InFlight } from './in-flight.ts'
import type { Worker, WorkerOptions } from './worker.ts'

const START_LIMIT_MS = 30_000
/** A person has to connect first. */
const DEBUGGED_START_MS = 24 * 3_600_000
/** Between two tries to write what found no room. */
const NO_ROOM_MS = 5
/** Operations (emits, state changes, publishes) of one event. */
const OPERATIONS_MAX = 10_000
/** One part of a streamed answer. */
const CHUNK_BYTES_MAX = 64 * 1024
const PROTOCOL_VERSION = 1
/** STOP's status: acknowledge what is to be acknowledged, and go on. */
const DRAIN_ONLY = 1

/** What carries a guest: a worker thread or a child process, with its channel. */
export interface GuestHandle {
  readonly channel: Channel
  /** Ends it at once. */
  kill(): void
  /** Memory it uses now. */
  memoryBytes(): number | Promise<number>
  /** Resolves with the reason when it is gone, for whatever cause. */
  readonly exited: Promise<string>
}

type State = 'new' | 'starting' | 'serving' | 'draining' | 'stopped'

/**
 * The agent's side of the guest protocol (docs/ring.md): tickets, time-outs, and what a guest may say when. A guest that breaks
 * the protocol is killed; the events it held go back to the pool.
 */
export class RingWorker implements Worker {
  readonly id: number
  readonly capacity: number
  readonly #options: WorkerOptions
  readonly #spawn: () => Promise<GuestHandle>
  readonly #inFlight: InFlight
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)
  #guest: GuestHandle | undefined
  #state: State = 'new'
  #nextTicket = 1
  #started: PromiseWithResolvers<void> = Promise.withResolvers()
  #stopped: PromiseWithResolvers<void> = Promise.withResolvers()
  #cause: Error | undefined
  #refused = false
  /** A batch that the ring had no room for yet, from `next` on; nothing else is given before its end. */
  #rest: { readonly batch: readonly Delivery[]; next: number; readonly firstTicket: number } | null = null
  #batches = 0
  /** Answered, and not acknowledged. */
  readonly #unacknowledged = new Map<number, Delivery>()
  readonly #logLevel: number

  constructor(options: WorkerOptions, spawn: () => Promise<GuestHandle>) {
    this.id = options.id
    this.capacity = options.concurrency
    this.#options = options
    this.#spawn = spawn
    this.#logLevel = LOG_LEVELS[options.function.config.logLevel]
    this.#inFlight = new InFlight(options.eventTimeoutMs, (late, ticket) => this.#onTimeout(late, ticket))
    this.#started.promise.catch(() => {})
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  get isKeepingEvents(): boolean {
    return this.#unacknowledged.size > 0
  }

  get isSequential(): boolean {
    return this.#inFlight.isSequential
  }

  forEachInFlight(visit: (delivery: Delivery) => void): void {
    this.#inFlight.forEach(visit)
  }

  async start(): Promise<void> {
    this.#state = 'starting'
    let guest: GuestHandle
    try {
      guest = await this.#spawn()
    } catch (error) {
      this.#state = 'stopped'
      this.#stopped.resolve()
      throw new FunctionError('worker-start', 'Cannot start the worker', { cause: error })
    }
    this.#guest = guest
    guest.channel.onRecord = (view) => this.#onRecord(view)
    guest.channel.onBroken = (error) => this.#kill(error)
    guest.channel.onWritable = () => {
      if (!this.#refused) return
      this.#refused = false
      if (this.#rest) this.#writeRest()
      if (!this.#rest) this.#options.host.onRoom(this)
    }
    void guest.exited.then((reason) => this.#onExited(reason))
    const limitMs = this.#options.function.debug ? DEBUGGED_START_MS : (this.#options.startLimitMs ?? START_LIMIT_MS)
    const timer = setTimeout(
      () => this.#kill(new FunctionError('worker-start-timeout', `Worker was not ready within ${limitMs} ms`)),
      limitMs,
    )
    try {
      this.#sendInit(guest.channel)
      await this.#started.promise
    } finally {
      clearTimeout(timer)
    }
  }

  offer(delivery: Delivery): boolean {
    if (this.#state !== 'serving' || this.#inFlight.size >= this.capacity || this.#rest) return false
    const ticket = this.#nextTicket
    try {
      if (!this.#guest!.channel.writeRecord(delivery.record, ticket, delivery.attempt)) {
        this.#refused = true
        return false
      }
    } catch (error) {
      return this.#cannotOffer(delivery, error as Error)
    }
    this.#nextTicket++
    this.#inFlight.add(ticket, delivery)
    return true
  }

  offerBatch(batch: readonly Delivery[]): boolean {
    if (batch.length === 1) {
      batch[0]!.batch = 0
      return this.offer(batch[0]!)
    }
    const held = this.#inFlight.size
    if (this.#state !== 'serving' || this.#rest || (held > 0 && held + batch.length > this.capacity)) return false
    this.#rest = { batch, next: 0, firstTicket: this.#nextTicket }
    if (!this.#writeNext()) {
      this.#rest = null
      return false
    }
    this.#batches++
    for (const delivery of batch) {
      delivery.batch = this.#batches
      this.#inFlight.add(this.#nextTicket++, delivery)
    }
    this.#writeRest()
    return true
  }

  /** Asks for the drain callback only; the guest goes on. */
  drain(): void {
    if (this.#state === 'serving' && this.#options.explicitAckMode !== 'disable') this.#answer(Kind.stop, 0, 0, DRAIN_ONLY, null)
  }

  memoryBytes(): number | Promise<number> {
    return this.#guest?.memoryBytes() ?? 0
  }

  end(cause: Error): void {
    this.#kill(cause)
  }

  flush(): void {
    this.#guest?.channel.flush()
  }

  async stop(graceMs: number): Promise<void> {
    if (this.#state === 'new') this.#state = 'stopped'
    if (this.#state === 'stopped' || !this.#guest) return
    if (this.#state !== 'draining') {
      this.#state = 'draining'
      this.#control(Kind.stop, 0, 0)
      this.flush()
    }
    const timer = setTimeout(() => this.#kill(new FunctionError('worker-stopped', `Worker did not stop within ${graceMs} ms`)), graceMs)
    await this.#stopped.promise
    clearTimeout(timer)
  }

  /** As much of the batch as there is room for. What no ring takes ends the worker: then each event is tried alone. */
  #writeRest(): void {
    let hasRoom = this.#rest !== null
    while (hasRoom && this.#rest!.next < this.#rest!.batch.length) hasRoom = this.#writeNext()
    if (hasRoom) this.#rest = null
    this.flush()
  }

  #writeNext(): boolean {
    const { batch, next, firstTicket } = this.#rest!
    const { record, attempt } = batch[next]!
    if (next < batch.length - 1) record[AT.flags]! |= Flag.batchMore
    try {
      if (this.#guest!.channel.writeRecord(record, firstTicket + next, attempt)) this.#rest!.next++
      else this.#refused = true
    } catch (error) {
      if (!(error instanceof DunlinError) || !error.retryable) this.#kill(error as Error)
      else setTimeout(() => (next === 0 ? this.#options.host.onRoom(this) : this.#writeRest()), NO_ROOM_MS)
    } finally {
      record[AT.flags]! &= ~Flag.batchMore
    }
    return this.#rest!.next > next
  }

  /** A record that no ring takes has failed; one whose large body has no room now is offered again a little later. */
  #cannotOffer(delivery: Delivery, error: Error): boolean {
    const { host } = this.#options
    if (error instanceof DunlinError && error.retryable) {
      setTimeout(() => host.onRoom(this), NO_ROOM_MS)
      return false
    }
    queueMicrotask(() => host.onFailed(delivery, error))
    return true
  }

  #sendInit(channel: Channel): void {
    const { function: fn, triggers, concurrency, stateExclusive, id, batch = false, explicitAckMode = 'disable' } = this.#options
    const body = Buffer.from(
      JSON.stringify({
        protocol: PROTOCOL_VERSION,
        function: { name: fn.config.name, version: fn.version },
        handler: fn.config.handler,
        directory: fn.directory,
        workerId: id,
        triggers,
        // What an unacknowledged event has set is not committed when it is answered: a guest must not remember it.
        stateExclusive: stateExclusive && explicitAckMode === 'disable',
        concurrency,
        batch,
        explicitAck: explicitAckMode !== 'disable',
        logLevel: fn.config.logLevel,
      }),
    )
    this.#prepareHeader(Kind.init, 0, 0, 0, body.length)
    channel.write(this.#header, null, body)
    channel.flush()
  }

  #onRecord(view: RecordView): void {
    if (this.#state === 'stopped' || this.#cause) return
    switch (view.kind) {
      case Kind.result:
        return this.#onResult(view)
      case Kind.emit:
      case Kind.publish:
      case Kind.stateSet:
      case Kind.stateDelete: {
        const delivery = this.#inFlight.get(view.ticket)
        if (!delivery) return this.#violation(`operation for event ${view.ticket}, which it does not have`)
        if (delivery.operations.length >= OPERATIONS_MAX) return this.#violation(`more than ${OPERATIONS_MAX} operations for one event`)
        return delivery.addOperation(view.record)
      }
      case Kind.chunk:
        return this.#onChunk(view)
      case Kind.ack:
        return this.#onAck(view)
      case Kind.log:
        return this.#onLog(view)
      case Kind.stateGet: {
        const ticket = view.ticket
        return this.#options.host.getState(findItem(view.head, Tag.key) ?? '', (value) => {
          this.#answer(Kind.stateValue, ticket, value === undefined ? Flag.absent : 0, 200, value ?? null)
        })
      }
      case Kind.call: {
        const ticket = view.ticket
        return this.#options.host.call(findItem(view.head, Tag.function) ?? '', view.record, (result) => {
          const headLength = result.readUInt32LE(AT.headLength)
          const head = result.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + headLength)
          const body = result.subarray(
            RECORD_HEADER_BYTES + headLength,
            RECORD_HEADER_BYTES + headLength + result.readUInt32LE(AT.bodyLength),
          )
          this.#answer(Kind.callResult, ticket, 0, result.readUInt16LE(AT.status), body, head)
        })
      }
      case Kind.ready: {
        if (this.#state !== 'starting') return this.#violation('READY twice')
        this.#state = 'serving'
        this.#inFlight.isSequential = view.status === READY_SEQUENTIAL
        return this.#started.resolve()
      }
      case Kind.initFailed: {
        const stack = findItem(view.head, Tag.stack)
        const error = new FunctionError('init-failed', findItem(view.head, Tag.error) ?? 'init_context failed')
        if (stack) error.stack = stack
        return this.#kill(error)
      }
      default:
        return this.#violation(`record of kind ${view.kind}`)
    }
  }

  #onResult(view: RecordView): void {
    const delivery = this.#inFlight.get(view.ticket)
    if (!delivery) return this.#violation(`answer for event ${view.ticket}, which it does not have`)
    this.#inFlight.remove(view.ticket)
    const result = view.record
    const { explicitAckMode } = this.#options
    if (explicitAckMode !== undefined && explicitAckMode !== 'disable') this.#keepUnacknowledged(view.ticket, delivery, result)
    this.#options.host.onResult(this, delivery, result)
  }

  /** Says with the flag noAck whether the event goes on after its answer. A caller's event ends with its answer. */
  #keepUnacknowledged(ticket: number, delivery: Delivery, result: Buffer): void {
    const isNoAck = this.#options.explicitAckMode === 'explicitOnly' || (result[AT.flags]! & Flag.noAck) !== 0
    if (isNoAck && delivery.reply === null && delivery.earlyAck === null && result.readUInt16LE(AT.status) < 500) {
      result[AT.flags]! |= Flag.noAck
      this.#unacknowledged.set(ticket, delivery)
      delivery.forget = () => this.#unacknowledged.delete(ticket)
    } else result[AT.flags]! &= ~Flag.noAck
  }

  /** An acknowledgement that comes too late, or a second time, changes nothing. */
  #onAck(view: RecordView): void {
    const delivery = this.#inFlight.get(view.ticket) ?? this.#unacknowledged.get(view.ticket)
    if (view.ticket === 0 || view.ticket >= this.#nextTicket) return this.#violation(`acknowledgement of event ${view.ticket}`)
    if (!delivery) return
    this.#unacknowledged.delete(view.ticket)
    const error = view.status >= 500 ? (findItem(view.head, Tag.error) ?? `acknowledged with status ${view.status}`) : null
    this.#options.host.onAck(delivery, error)
  }

  #onChunk(view: RecordView): void {
    const { ticket } = view
    const delivery = this.#inFlight.get(ticket)
    if (!delivery) return this.#violation(`part of an answer for event ${ticket}, which it does not have`)
    const part = Buffer.from(view.body)
    if (!delivery.stream) {
      delivery.stream = new AnswerStream((bytes) => this.#credit(ticket, bytes))
      this.#options.host.onStream(delivery, { ...answerOf(view.record), body: EMPTY })
    }
    if (part.length > CHUNK_BYTES_MAX || !delivery.stream.add(part)) return this.#violation(`more of a streamed answer than it may send`)
    this.#inFlight.touch(ticket)
  }

  #credit(ticket: number, bytes: number): void {
    const body = Buffer.alloc(4)
    body.writeUInt32LE(bytes)
    this.#answer(Kind.credit, ticket, 0, 0, body)
  }

  #onLog(view: RecordView): void {
    const { status: level } = view
    const message = view.body.toString('utf8')
    const fields = findItem(view.head, Tag.fields) ?? ''
    const delivery = view.ticket === 0 ? undefined : this.#inFlight.get(view.ticket)
    if (delivery) {
      const wanted = logLevelOf(delivery.record)
      if (wanted !== 0 && level >= wanted) delivery.addLog({ level, message, fields, timeMs: Date.now() })
    }
    if (level >= this.#logLevel || !delivery) this.#options.host.log(level, message, fields)
  }

  /** Who reads too slowly loses the stream, not the worker its other events. */
  #onTimeout(late: Delivery, ticket: number): void {
    const { eventTimeoutMs } = this.#options
    if (late.stream?.isStalled) {
      late.stream.finish(new FunctionError('reader-slow', `Nobody took the streamed answer for ${eventTimeoutMs} ms`))
      this.#credit(ticket, 0)
      this.#inFlight.touch(ticket)
      return this.#inFlight.rearm()
    }
    const ms = Math.round(performance.now() - late.sinceMs)
    this.#kill(new FunctionError('event-timeout', `Handler did not answer within ${eventTimeoutMs} ms, running for ${ms} ms`))
  }

  #violation(what: string): void {
    this.#kill(new ProtocolError('guest-protocol', `Worker broke the protocol: ${what}`))
  }

  /** An answer to a guest's own request; when the ring is full it waits for room behind the others. */
  #answer(kind: Kind, ticket: number, flags: number, status: number, body: Uint8Array | null, head: Uint8Array | null = null): void {
    const guest = this.#guest
    if (!guest || this.#state === 'stopped') return
    this.#prepareHeader(kind, ticket, flags, head?.length ?? 0, body?.length ?? 0)
    this.#header.writeUInt16LE(status, AT.status)
    try {
      if (guest.channel.write(this.#header, head, body)) return guest.channel.flush()
    } catch (error) {
      if (!(error instanceof DunlinError) || !error.retryable) return this.#kill(error as Error)
    }
    setTimeout(() => this.#answer(kind, ticket, flags, status, body, head), NO_ROOM_MS)
  }

  #control(kind: Kind, ticket: number, flags: number): void {
    this.#answer(kind, ticket, flags, 0, null)
  }

  #prepareHeader(kind: Kind, ticket: number, flags: number, headLength: number, bodyLength: number): void {
    const header = this.#header.fill(0)
    header.writeUInt32LE(recordSize(headLength, bodyLength), AT.size)
    header[AT.kind] = kind
    header[AT.flags] = flags
    putU64(header, AT.ticket, ticket)
    header.writeUInt32LE(headLength, AT.headLength)
    header.writeUInt32LE(bodyLength, AT.bodyLength)
  }

  #kill(cause: Error): void {
    if (this.#state === 'stopped') return
    this.#cause ??= cause
    this.#guest?.kill()
  }

  #onExited(reason: string): void {
    if (this.#state === 'stopped') return
    const asked = this.#state === 'draining' && !this.#cause
    this.#state = 'stopped'
    const error = this.#cause ?? new FunctionError('worker-exited', `Worker ended by itself: ${reason}`)
    this.#guest?.channel.close()
    this.#started.reject(error)
    const held = this.#inFlight.takeAll()
    // What stood in the ring cannot be believed, nor which event it was that ran: any of them may have done it.
    const isUnknown = this.#cause instanceof ProtocolError
    const running = isUnknown ? [...held.running, ...held.unstarted] : held.running
    const unstarted = isUnknown ? [] : held.unstarted
    for (const delivery of running) delivery.dropAttempt()
    for (const delivery of unstarted) delivery.dropAttempt()
    this.#rest = null
    this.#stopped.resolve()
    const { host } = this.#options
    const unacknowledged = [...this.#unacknowledged.values()]
    this.#unacknowledged.clear()
    for (const delivery of unacknowledged) host.onAck(delivery, `It was not acknowledged when its worker ended: ${error.message}`)
    host.onExit(this, error, asked ? [] : running, asked ? [...running, ...unstarted] : unstarted)
  }
}

const EMPTY = Buffer.alloc(0)

/** READY's status: one handler call at a time, in the order of the events (otherwise many at once). */
const READY_SEQUENTIAL = 1

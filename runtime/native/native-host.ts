import koffi from 'koffi'
import { DunlinError, FunctionError } from '../base/errors.ts'
import { putU64 } from '../event/event-writer.ts'
import { findItem, HeadWriter } from '../event/head.ts'
import { AT, Flag, Kind, RECORD_HEADER_BYTES, Tag, recordSize } from '../event/record.ts'
import type { RecordView } from '../shared-memory/channel.ts'
import type { GuestChannel } from '../shared-memory/guest-channel.ts'
import type { GuestInit } from '../workers/nodejs/guest-context.ts'
import { ContextMemory } from './context-memory.ts'
import { EventMemory, type WaitingEvent } from './event-memory.ts'
import { ABI_VERSION, loadLibrary, type Library } from './library.ts'
import { addressOf, ForeignMemory, ownMemory, SpareMemory } from './memory.ts'
import { StreamCredits } from './stream-credits.ts'
import { StateView } from './state-view.ts'

/** Return codes of dunlin.h. */
const OK = 0
const E_TOO_LARGE = -1
const E_REFUSED = -2
const E_GONE = -5

/** The doorbell rings for this many answers, or this long after the first of them: a busy agent is not woken for each. */
const ANSWERS_PER_BELL = 32
const BELL_AFTER_MS = 0.2
const BURST_RECORDS = 2048
/** A bound for waits whose end is a doorbell. */
const LOOK_AGAIN_MS = 100
const LEVELS: Record<string, number> = { debug: 10, info: 20, warn: 30, error: 40 }

interface HostInit extends GuestInit {
  readonly batch?: boolean
}

/**
 * Runs one function library, in a thread that does nothing else: it sleeps in poll(2), reads a burst of events, gives them to the
 * library one after the other, and writes what the library has put into its buffer to the ring. The event loop never runs.
 *
 *   waiting -> handling -> waiting ... -> stopped
 *
 * While it handles, the library may ask (state, another function): then events that come meanwhile are kept and none is begun.
 * What breaks here ends the process, and with it nothing but this worker.
 */
export class NativeHost {
  readonly #channel: GuestChannel
  readonly #events = new EventMemory()
  readonly #head = new HeadWriter()
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)
  #library!: Library
  #context!: ContextMemory
  #state!: StateView
  #logLevel = 20
  #isBatched = false
  #init: HostInit | null = null
  #waiting: WaitingEvent[] = []
  #nextWaiting = 0
  /** Tickets of the events that the library has, and has not answered. */
  readonly #open = new Set<number>()
  /** Answered and still to be acknowledged. */
  readonly #deferred = new Set<number>()
  #current = 0
  #question = 0
  #answer: Buffer | null = null
  readonly #answers = new SpareMemory()
  readonly #bodies = new ForeignMemory()
  readonly #credits = new StreamCredits()
  #stop: 'no' | 'drain' | 'end' = 'no'
  #unrung = 0
  #unrungSince = 0
  #initFailure: Buffer | null = null

  constructor(channel: GuestChannel) {
    this.#channel = channel
  }

  run(): never {
    this.#channel.onRecord = (view) => this.#onRecord(view)
    this.#channel.onBroken = (error) => die(error)
    while (this.#init === null) this.#read()
    this.#start(this.#init)
    for (;;) {
      const next = this.#take()
      if (next) this.#handle(next)
      else if (this.#stop !== 'no') this.#drain()
      else {
        this.#events.reset()
        this.#ring()
        this.#read()
      }
    }
  }

  #onRecord(view: RecordView): void {
    switch (view.kind) {
      case Kind.event:
        this.#waiting.push(this.#events.keep(view, Flag.batchMore))
        if (this.#events.isFull) this.#channel.pause()
        return
      case Kind.stateValue:
      case Kind.callResult:
        if (view.ticket !== this.#question) return
        this.#answer = this.#answers.take(view.size)
        view.copyTo(this.#answer, 0)
        return
      case Kind.credit:
        return this.#credits.add(view.ticket, view.body.readUInt32LE(0))
      case Kind.init:
        this.#init = JSON.parse(view.body.toString('utf8')) as HostInit
        return
      case Kind.stop:
        this.#stop = view.status === STOP_DRAIN_ONLY ? 'drain' : 'end'
        return
    }
  }

  /** Reads until there is something to do; sleeps where there is nothing. */
  #read(): void {
    const isIdle = (): boolean => this.#waiting.length === 0 && this.#stop === 'no' && this.#init === before
    const before = this.#init
    do {
      if (this.#channel.isAsleep) this.#channel.block(FOREVER_MS)
      else this.#channel.poll(BURST_RECORDS)
    } while (isIdle())
  }

  #take(): WaitingEvent | undefined {
    if (this.#nextWaiting < this.#waiting.length) return this.#waiting[this.#nextWaiting++]
    this.#waiting.length = 0
    this.#nextWaiting = 0
    return undefined
  }

  #start(init: HostInit): void {
    try {
      this.#library = loadLibrary(init.directory, init.handler)
      const callback = (run: (body: number, length: number) => number): bigint =>
        koffi.register((_context: number, body: number, length: number) => run(body, length), koffi.pointer(CALLBACK))
      this.#context = new ContextMemory({
        abi: ABI_VERSION,
        functionName: init.function.name,
        functionVersion: init.function.version,
        workerId: init.workerId,
        triggers: init.triggers,
        send: callback((body, length) => this.#guard(() => this.#collect(body, length))),
        ask: callback((body, length) => this.#guard(() => this.#collect(body, length, true))),
      })
      this.#state = new StateView(init.stateExclusive)
      this.#isBatched = init.batch === true && this.#library.handleBatch !== null
      this.#logLevel = LEVELS[init.logLevel] ?? 20
      this.#context.logLevel = this.#logLevel
      const code = this.#library.initContext?.(this.#context.address) ?? OK
      this.#collect(0, 0)
      if (code !== OK || this.#initFailure !== null) {
        if (this.#initFailure === null) throw new FunctionError('init-failed', `dunlin_init_context returned ${code}`)
        return this.#refuse(this.#initFailure)
      }
    } catch (error) {
      const hint = error instanceof DunlinError && error.hint !== undefined ? ` (${error.hint})` : ''
      return this.#refuse(errorHead(this.#head.reset(), `${error instanceof Error ? error.message : String(error)}${hint}`))
    }
    this.#send(Kind.ready, 0, READY_SEQUENTIAL, 0, null, READY)
    this.#ring()
  }

  #refuse(reason: Uint8Array): never {
    this.#send(Kind.initFailed, 0, 500, 0, reason, null)
    this.#ring()
    process.exit(1)
  }

  #handle(first: WaitingEvent): void {
    const isBatch = this.#isBatched
    const events = isBatch && first.hasMore ? this.#takeBatch(first) : [first]
    this.#current = first.ticket
    this.#context.logLevel = first.status >>> 8 === 0 ? this.#logLevel : first.status >>> 8
    for (const { ticket, attempt, status } of events) {
      this.#open.add(ticket)
      if (attempt > 1 || (status & FORGET_STATE) !== 0) this.#state.forget()
    }
    const code = isBatch ? this.#callBatch(events) : this.#library.handle(this.#context.address, first.address)
    this.#collect(0, 0)
    for (const { ticket } of events) if (this.#open.has(ticket)) this.#answerFor(ticket, code, isBatch)
    this.#current = 0
    const now = performance.now()
    if (this.#unrung === 0) this.#unrungSince = now
    this.#unrung += events.length
    if (this.#unrung >= ANSWERS_PER_BELL || now - this.#unrungSince > BELL_AFTER_MS) this.#ring()
  }

  #takeBatch(first: WaitingEvent): WaitingEvent[] {
    const events = [first]
    while (events.at(-1)!.hasMore) {
      const next = this.#take()
      if (next) events.push(next)
      else this.#read()
    }
    return events
  }

  #callBatch(events: readonly WaitingEvent[]): number {
    const pointers = ownMemory(events.length * 8)
    for (const [index, { address }] of events.entries()) putU64(pointers, index * 8, address)
    return this.#library.handleBatch!(this.#context.address, addressOf(pointers), events.length)
  }

  /** The library has returned without an answer of its own. */
  #answerFor(ticket: number, code: number, isBatch: boolean): void {
    this.#open.delete(ticket)
    this.#credits.end(ticket)
    this.#state.end(ticket, code === OK)
    if (code === OK) return this.#send(Kind.result, ticket, 200, 0, null, null)
    const { names } = this.#library
    const head = errorHead(this.#head.reset(), `${isBatch ? names.handleBatch : names.handle} returned ${code}`)
    this.#send(Kind.result, ticket, 500, isBatch ? Flag.batchFailed : 0, head, null)
  }

  #drain(): void {
    const isEnd = this.#stop === 'end'
    this.#stop = 'no'
    this.#library.drain?.(this.#context.address)
    this.#collect(0, 0)
    if (isEnd) {
      this.#library.terminate?.(this.#context.address)
      this.#collect(0, 0)
    }
    this.#ring()
    if (isEnd) process.exit(0)
  }

  /** An exception must not go through C. */
  #guard(run: () => number): number {
    try {
      return run()
    } catch (error) {
      return die(error)
    }
  }

  /**
   * Takes the records that the library has written. `body`, `bodyLength`: address of the last one's body, where it is not among them.
   * With `asks` the last one is a question, and its answer is there when this returns.
   */
  #collect(body: number, bodyLength: number, asks = false): number {
    const length = this.#context.takeOut()
    const { out } = this.#context
    let code = OK
    for (let at = 0; at < length;) {
      const size = length - at < RECORD_HEADER_BYTES ? 0 : out.readUInt32LE(at)
      const isLast = at + size === length
      const outside = isLast && bodyLength > 0
      const used = RECORD_HEADER_BYTES + out.readUInt32LE(at + AT.headLength) + (outside ? 0 : out.readUInt32LE(at + AT.bodyLength))
      if (size < RECORD_HEADER_BYTES || at + size > length || used > size) throw new FunctionError('library-record', BROKEN)
      const record = out.subarray(at, at + size)
      const given = outside ? this.#bodies.copy(body, bodyLength) : null
      code = isLast && asks ? this.#ask(record, given) : this.#take1(record, given)
      at += size
    }
    return code
  }

  #take1(record: Buffer, body: Buffer | null): number {
    const kind = record[AT.kind]!
    const ticket = record.readUInt32LE(AT.ticket) + record.readUInt32LE(AT.ticket + 4) * 0x1_0000_0000
    switch (kind) {
      case Kind.result:
        return this.#takeResult(record, body, ticket)
      case Kind.emit:
      case Kind.publish:
        if (!this.#open.has(ticket)) return this.#refused(kind, ticket)
        return this.#forward(record, body, ticket)
      case Kind.stateSet:
      case Kind.stateDelete:
        if (!this.#open.has(ticket)) return this.#refused(kind, ticket)
        return this.#changeState(record, body, ticket)
      case Kind.log:
        return this.#forward(record, body, this.#current)
      case Kind.chunk:
        return this.#takeChunk(record, ticket)
      case Kind.ack:
        if (!this.#deferred.delete(ticket) && !this.#open.has(ticket)) return this.#refused(kind, ticket)
        return this.#forward(record, body, ticket)
      default:
        throw new FunctionError('library-record', BROKEN)
    }
  }

  #takeResult(record: Buffer, body: Buffer | null, ticket: number): number {
    if (ticket === 0 && this.#open.size === 0) {
      this.#initFailure = Buffer.from(headOf(record))
      return OK
    }
    if (!this.#open.has(ticket)) return this.#refused(Kind.result, ticket)
    const code = this.#forward(record, body, ticket)
    if (code !== OK) return code
    const isDeferred = (record[AT.flags]! & Flag.noAck) !== 0
    this.#open.delete(ticket)
    this.#credits.end(ticket)
    if (isDeferred) this.#deferred.add(ticket)
    this.#state.end(ticket, record.readUInt16LE(AT.status) < 500 && !isDeferred)
    return OK
  }

  /** A part of a streamed answer waits until its reader has room for it. */
  #takeChunk(record: Buffer, ticket: number): number {
    if (!this.#open.has(ticket)) return this.#refused(Kind.chunk, ticket)
    const bytes = record.readUInt32LE(AT.bodyLength)
    this.#waitUntil(() => (this.#credits.left(ticket) ?? bytes) >= bytes)
    if (this.#credits.left(ticket) === null) return E_GONE
    this.#credits.spend(ticket, bytes)
    const code = this.#forward(record, null, ticket)
    this.#ring()
    return code
  }

  /** While the library waits: what comes is read, and no event is begun. */
  #waitUntil(isTrue: () => boolean): void {
    while (!isTrue()) {
      this.#ring()
      if (this.#channel.isAsleep) this.#channel.block(FOREVER_MS)
      else this.#channel.poll(BURST_RECORDS)
    }
  }

  /** The library gives the form of a value as the record's status; stored is one byte of form and the content. */
  #changeState(record: Buffer, body: Buffer | null, ticket: number): number {
    const head = headOf(record)
    const key = findItem(head, Tag.key) ?? ''
    if (record[AT.kind] === Kind.stateDelete) {
      this.#state.change(ticket, key, null)
      return this.#forward(record, null, ticket)
    }
    const value = Buffer.concat([
      Buffer.of(record.readUInt16LE(AT.status) === STATE_JSON ? STATE_JSON : STATE_BYTES),
      body ?? bodyOf(record),
    ])
    const code = this.#try(() => this.#send(Kind.stateSet, ticket, 0, 0, head, value))
    if (code === OK) this.#state.change(ticket, key, value)
    return code
  }

  #ask(record: Buffer, body: Buffer | null): number {
    const kind = record[AT.kind]
    if (kind !== Kind.stateGet && kind !== Kind.call) throw new FunctionError('library-record', BROKEN)
    const key = kind === Kind.stateGet ? (findItem(headOf(record), Tag.key) ?? '') : null
    const ticket = record.readUInt32LE(AT.ticket) + record.readUInt32LE(AT.ticket + 4) * 0x1_0000_0000
    const known = key === null ? undefined : this.#state.get(ticket, key)
    if (known !== undefined) {
      this.#context.answer = this.#answer = stateRecord(known)
      return OK
    }
    this.#question++
    this.#answer = null
    const code = this.#forward(record, body, this.#question)
    if (code !== OK) return code
    this.#waitUntil(() => this.#answer !== null)
    const answer = this.#answer! as Buffer
    this.#context.answer = answer
    if (key !== null) this.#state.learn(key, (answer[AT.flags]! & Flag.absent) !== 0 ? null : bodyOf(answer))
    return OK
  }

  #refused(kind: number, ticket: number): number {
    const what = kind === Kind.result ? 'answers' : 'sends something for'
    const text = Buffer.from(`The library ${what} an event (${ticket}) that it does not have or has answered: it is dropped`)
    this.#send(Kind.log, this.#current, LEVELS['error']!, 0, null, text)
    return E_REFUSED
  }

  /** Copies a record of the library into the ring, with `ticket`. */
  #forward(record: Buffer, body: Buffer | null, ticket: number): number {
    if (body === null) return this.#try(() => this.#write(() => this.#channel.writeRecord(record, ticket, 0)))
    const header = Buffer.from(record.subarray(0, RECORD_HEADER_BYTES))
    putU64(header, AT.ticket, ticket)
    return this.#try(() => this.#write(() => this.#channel.write(header, headOf(record), body)))
  }

  #try(write: () => void): number {
    try {
      write()
      return OK
    } catch (error) {
      if (error instanceof DunlinError && error.code === 'record-too-large') return E_TOO_LARGE
      throw error
    }
  }

  #send(kind: number, ticket: number, status: number, flags: number, head: Uint8Array | null, body: Buffer | null): void {
    const header = this.#header
    header[AT.kind] = kind
    header[AT.flags] = flags
    header.writeUInt16LE(status, AT.status)
    putU64(header, AT.ticket, ticket)
    this.#write(() => this.#channel.write(header, head, body))
  }

  /** Waits for room, in the ring or for a large body. */
  #write(write: () => boolean): void {
    for (;;) {
      try {
        if (write()) return
      } catch (error) {
        if (!(error instanceof DunlinError) || !error.retryable) throw error
      }
      this.#ring()
      this.#channel.block(LOOK_AGAIN_MS)
    }
  }

  #ring(): void {
    this.#unrung = 0
    this.#channel.flush()
  }
}

const CALLBACK = koffi.proto('int32_t dunlin_callback(uintptr_t context, uintptr_t body, size_t length)')
const READY = Buffer.from('{"guest":"native","mode":"sync"}')
const READY_SEQUENTIAL = 1
const STOP_DRAIN_ONLY = 1
const FORGET_STATE = 1
const STATE_BYTES = 0
const STATE_JSON = 1
const FOREVER_MS = -1
const BROKEN = 'The library has written what is no record into its buffer: its memory is damaged, or it was built with another dunlin.h'

/** The last words of this process: the agent takes its last line for the reason. */
function die(error: unknown): never {
  console.error(error instanceof Error ? error.message : String(error))
  process.exit(1)
}

function headOf(record: Buffer): Buffer {
  return record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength))
}

function bodyOf(record: Buffer): Buffer {
  const at = RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength)
  return record.subarray(at, at + record.readUInt32LE(AT.bodyLength))
}

function errorHead(head: HeadWriter, text: string): Uint8Array {
  return head.add(Tag.error, text.slice(0, ERROR_CHARACTERS_MAX)).bytes()
}

const ERROR_CHARACTERS_MAX = 4096

/** A STATE_VALUE as the agent would have sent it. */
function stateRecord(value: Buffer | null): Buffer {
  const record = ownMemory(recordSize(0, value?.length ?? 0))
  record.writeUInt32LE(record.length, AT.size)
  record[AT.kind] = Kind.stateValue
  record[AT.flags] = value === null ? Flag.absent : 0
  record.writeUInt32LE(value?.length ?? 0, AT.bodyLength)
  if (value !== null) record.set(value, RECORD_HEADER_BYTES)
  return record
}

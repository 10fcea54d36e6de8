import { Worker } from 'node:worker_threads'
import { InputError, ResourceError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { ownModule } from '../base/own-module.ts'
import {
  BATCHES_IN_FLIGHT_MAX,
  EAGER_BYTES,
  ERROR_TEXT_MAX,
  NAME_LENGTH_MAX,
  RECORD_BYTES_MAX,
  SEQ_SPAN,
  STATE_KEY_BYTES_MAX,
  UNFLUSHED_BYTES_MAX,
} from './limits.ts'
import type { Answers, FromThread, NameKind, OpenReport, Query, ThreadOptions, ToThread } from './messages.ts'
import { unpackRows } from './row-pack.ts'
import { Op } from './step-batch.ts'
import { answerBatch, StepGatherer } from './step-gatherer.ts'
import type { Batch, StepDone } from './step-gatherer.ts'
import type { AcceptDone, DeadLetter, DeadLetterReason, InboxRow, Ledger, SettleDone, Store, StreamOptions, StreamRow } from './store.ts'
import { fromPlain, storeBusy } from './store-errors.ts'

export interface StoreOptions {
  readonly dataDir: string
  /** Disk budget of the queue, its WAL and its ballast. */
  readonly maxBytes: number
  /** How long the first step of a batch may wait for others; 0: until the end of this turn of the event loop. */
  readonly commitIntervalMs: number
  readonly logger: Logger
  /** The disk or the database failed: nothing more is kept. Reopen or exit. */
  readonly onFatal?: (error: ResourceError) => void
  /** Between two tries to make the ballast again. */
  readonly ballastRetryMs?: number
}

/** What the client needs of the thread; a Worker is one. */
export interface StorePort {
  postMessage(message: ToThread, transfer?: ArrayBuffer[]): void
  on(event: 'message', listener: (message: FromThread) => void): unknown
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'exit', listener: (code: number) => void): unknown
}

/** Starts the store thread and waits until the database is open. Rejects with 'data-dir-locked', 'store-newer', 'store-pragma', ... */
export async function openStore(options: StoreOptions): Promise<StoreClient> {
  const { dataDir, maxBytes, ballastRetryMs = 2000 } = options
  const workerData: ThreadOptions = { dataDir, maxBytes, ballastRetryMs }
  const worker = new Worker(ownModule(import.meta.url, './store-thread'), { workerData, name: 'store' })
  return connectStore(worker, options)
}

export function connectStore(port: StorePort, options: Omit<StoreOptions, 'dataDir' | 'maxBytes'>): Promise<StoreClient> {
  return new Promise((resolve, reject) => {
    let client: StoreClient | undefined
    let refused: Error | undefined
    port.on('message', (message) => {
      if (client !== undefined) return client.receive(message)
      if (message.kind === 'open-failed') refused = fromPlain(message.error)
      else if (message.kind === 'notice') options.logger[message.level](message.fields, message.message)
      else if (message.kind === 'opened') resolve((client = new StoreClient(port, message.boot, message.report, options)))
    })
    port.on('error', (cause) => {
      refused ??= threadEnded(cause)
      client?.fail(refused as ResourceError)
    })
    port.on('exit', () => {
      client?.threadExited()
      // After the exit, so that the lock is free when the caller hears of it.
      reject(refused ?? threadEnded())
    })
  })
}

function threadEnded(cause?: Error): ResourceError {
  return new ResourceError('store-failed', 'Cannot use the store: its thread ended', { cause, hint: 'Start the agent again' })
}

/**
 * The store as the agent sees it. Steps gather in a buffer while the batch before is being committed (group commit that
 * clocks itself: one batch in flight, the next holds whatever came meanwhile). Modes: open -> failed (an error of the disk
 * or the end of the thread; everything waiting and everything later gets that error), open or failed -> closed.
 */
export class StoreClient implements Store {
  readonly boot: number
  readonly report: OpenReport
  readonly #port: StorePort
  readonly #intervalMs: number
  readonly #logger: Logger
  readonly #onFatal: (error: ResourceError) => void
  readonly #gatherer = new StepGatherer()
  /** Sent and not answered, oldest first. The thread commits together what has come to it: more than one keeps it from waiting for us. */
  readonly #inFlight: Batch[] = []
  /** The next batch has waited long enough. */
  #due = false
  #scheduled = false
  readonly #asked = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  #lastAsk = 0
  /** Why nothing more is taken. */
  #stopped: ResourceError | null = null
  #failed = false
  /** What is wrong with the step being written; its `end` says so. */
  #stepError: Error | null = null
  #closing: Promise<void> | undefined
  readonly #exited = Promise.withResolvers<void>()

  constructor(port: StorePort, boot: number, report: OpenReport, options: Pick<StoreOptions, 'commitIntervalMs' | 'logger' | 'onFatal'>) {
    this.boot = boot
    this.report = report
    this.#port = port
    this.#intervalMs = options.commitIntervalMs
    this.#logger = options.logger
    this.#onFatal = options.onFatal ?? (() => {})
  }

  openSource(name: string): Promise<number> {
    return this.#open('source', name, 0)
  }

  openStream(name: string, options: StreamOptions = {}): Promise<number> {
    return this.#open('stream', name, options.maxBytes ?? 0)
  }

  openFunction(name: string): Promise<number> {
    return this.#open('function', name, 0)
  }

  accept(source: number, record: Uint8Array, done: AcceptDone): void {
    const refusal =
      this.#stopped ??
      this.#refuseRecord(record) ??
      (this.#unflushed() > UNFLUSHED_BYTES_MAX ? storeBusy('too much waits for the disk') : null)
    if (refusal !== null) return queueMicrotask(() => done(refusal, 0))
    this.#step(Op.accept, source, 0, 0, 0, null, record, done)
  }

  begin(source: number, inboxId: number): void {
    const writer = this.#gatherer.current().writer
    if (writer.dropOpenStep()) this.#logger.error({ source }, 'Store step was begun and never ended; it was dropped')
    this.#stepError = null
    writer.openAt = writer.used
    writer.put(Op.begin, source, inboxId, 0, 0, null, null)
  }

  emit(stream: number, record: Uint8Array): void {
    this.#stepError ??= this.#refuseRecord(record)
    this.#part(Op.emit, stream, null, record)
  }

  setState(fn: number, key: string, value: Uint8Array): void {
    this.#stepError ??= this.#refuseRecord(value)
    this.#part(Op.setState, fn, this.#stateKey(key), value)
  }

  deleteState(fn: number, key: string): void {
    this.#part(Op.deleteState, fn, this.#stateKey(key), null)
  }

  end(done: SettleDone | null): void {
    const batch = this.#gatherer.current()
    const refusal =
      this.#stopped ??
      this.#stepError ??
      (batch.writer.openAt < 0 ? new InputError('store-step', 'Cannot end a step: begin one first') : null)
    this.#stepError = null
    if (refusal !== null) {
      batch.writer.dropOpenStep()
      if (done !== null) queueMicrotask(() => done(refusal, false))
      return
    }
    batch.writer.put(Op.end, 0, 0, 0, 0, null, null)
    batch.writer.openAt = -1
    this.#ended(batch, done)
  }

  retryLater(inboxId: number, attempt: number): void {
    if (this.#stopped === null) this.#step(Op.retryLater, 0, inboxId, 0, attempt, null, null, null)
  }

  bury(source: number, inboxId: number, letter: DeadLetterReason, record: Uint8Array | null, done: SettleDone | null): void {
    let refusal = this.#stopped ?? (record === null ? null : this.#refuseRecord(record))
    if (inboxId === 0 && record === null) refusal ??= new InputError('store-step', 'Cannot bury a direct event: give its record')
    if (refusal !== null) {
      if (done !== null) queueMicrotask(() => done(refusal, false))
      return
    }
    const reason: DeadLetterReason = {
      function: letter.function,
      version: letter.version,
      error: letter.error.slice(0, ERROR_TEXT_MAX),
      stack: letter.stack.slice(0, ERROR_TEXT_MAX),
      attempts: letter.attempts,
    }
    this.#step(Op.bury, source, inboxId, 0, 0, Buffer.from(JSON.stringify(reason)), inboxId === 0 ? record : null, done)
  }

  async readInbox(source: number, after: number, rows: number, bytes: number): Promise<InboxRow[]> {
    const packed = await this.#ask('inbox', { ask: 'inbox', source, after, rows, bytes })
    return unpackRows(packed, (inboxId, attempt, record) => ({ inboxId, attempt, record }))
  }

  async readStream(stream: number, first: number, last: number, rows: number, bytes: number): Promise<StreamRow[]> {
    const packed = await this.#ask('stream', { ask: 'stream', stream, first, last, rows, bytes })
    return unpackRows(packed, (seq, _attempt, record) => ({ seq, record }))
  }

  async releaseStream(stream: number, first: number, last: number): Promise<void> {
    await this.#promised(Op.release, stream, first, last, null, null)
  }

  async getState(fn: number, key: string): Promise<Buffer | undefined> {
    const value = await this.#ask('state', { ask: 'state', fn, key })
    return value === undefined ? undefined : asBuffer(value)
  }

  getValue(key: string): Promise<string | undefined> {
    return this.#ask('value', { ask: 'value', key })
  }

  async setValue(key: string, value: string): Promise<void> {
    await this.#promised(Op.setValue, 0, 0, 0, key, Buffer.from(value))
  }

  async deleteValue(key: string): Promise<void> {
    await this.#promised(Op.deleteValue, 0, 0, 0, key, null)
  }

  ledger(): Promise<Ledger> {
    return this.#ask('ledger', { ask: 'ledger' })
  }

  async deadLetters(limit: number, before = Number.MAX_SAFE_INTEGER): Promise<DeadLetter[]> {
    const letters = await this.#ask('deadLetters', { ask: 'deadLetters', limit, before })
    return letters.map((letter) => ({ ...letter, record: asBuffer(letter.record) }))
  }

  async replayDeadLetter(id: number): Promise<{ source: number; inboxId: number } | undefined> {
    const inboxId = await this.#promised(Op.replay, 0, id, 0, null, null)
    return inboxId === 0 ? undefined : { source: Math.floor(inboxId / SEQ_SPAN), inboxId }
  }

  moveInbox(from: number, to: number, rows: number, done: (error: Error | null, moved: number) => void): void {
    const refusal = this.#stopped
    if (refusal !== null) return queueMicrotask(() => done(refusal, 0))
    this.#step(Op.move, from, to, rows, 0, null, null, done)
  }

  flush(): Promise<void> {
    if (this.#failed) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => {
      const flushed = (error: Error | null) => (error === null ? resolve() : reject(error))
      const last = this.#gatherer.last() ?? this.#inFlight.at(-1)
      if (last === undefined) return resolve()
      last.flushed.push(flushed)
      this.#due = true
      this.#pump()
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** A message of the thread. */
  receive(message: FromThread): void {
    if (message.kind === 'batch-done') this.#batchDone(message)
    else if (message.kind === 'fatal') this.fail(fromPlain(message.error))
    else if (message.kind === 'notice') this.#logger[message.level](message.fields, message.message)
    else if (message.kind === 'answer') this.#settled(message.id)?.resolve(message.value as never)
    else if (message.kind === 'refused') this.#settled(message.id)?.reject(fromPlain(message.error))
  }

  /** Everything that waits gets `error`, and so does everything later. */
  fail(error: ResourceError): void {
    if (this.#failed) return
    this.#failed = true
    this.#stopped = error
    const lost = this.#inFlight.splice(0)
    for (let batch = this.#gatherer.take(); batch !== undefined; batch = this.#gatherer.take()) lost.push(batch)
    for (const batch of lost) this.#answer(batch, null, error)
    this.#rejectAsked(error)
    this.#onFatal(error)
  }

  threadExited(): void {
    if (this.#closing === undefined) this.fail(threadEnded())
    else this.#rejectAsked(closed())
    this.#exited.resolve()
  }

  async #close(): Promise<void> {
    const flushed = this.#failed ? Promise.resolve() : this.flush()
    this.#stopped ??= closed()
    try {
      await flushed
    } catch {
      // Every waiting caller has been told.
    }
    this.#port.postMessage({ kind: 'close' })
    await this.#exited.promise
  }

  #step(
    op: Op,
    number: number,
    value: number,
    second: number,
    attempt: number,
    key: Uint8Array | null,
    payload: Uint8Array | null,
    done: StepDone | null,
  ): void {
    const batch = this.#gatherer.current()
    if (batch.writer.dropOpenStep()) this.#logger.error({ op }, 'Store step was begun and never ended; it was dropped')
    batch.writer.put(op, number, value, second, attempt, key, payload)
    this.#ended(batch, done)
  }

  #part(op: Op, number: number, key: Uint8Array | null, payload: Uint8Array | null): void {
    if (this.#stepError === null) this.#gatherer.current().writer.put(op, number, 0, 0, 0, key, payload)
  }

  #promised(op: Op, number: number, value: number, second: number, key: string | null, payload: Uint8Array | null): Promise<number> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped)
    return new Promise((resolve, reject) => {
      const done = (error: Error | null, result: number) => (error === null ? resolve(result) : reject(error))
      this.#step(op, number, value, second, 0, key === null ? null : Buffer.from(key), payload, done)
    })
  }

  #ended(batch: Batch, done: StepDone | null): void {
    const isFull = this.#gatherer.stepEnded(batch, done)
    // Without an interval to keep, a good part of a burst goes at once: the thread commits it while the rest is still being read.
    if (!isFull && this.#intervalMs === 0 && batch.bytes >= EAGER_BYTES && this.#inFlight.length < BATCHES_IN_FLIGHT_MAX) this.#due = true
    if (isFull || this.#due) this.#pump()
    else if (!this.#scheduled) this.#schedule()
  }

  #schedule(): void {
    this.#scheduled = true
    const due = () => {
      this.#scheduled = false
      this.#due = true
      this.#pump()
    }
    if (this.#intervalMs === 0) setImmediate(due)
    else setTimeout(due, this.#intervalMs)
  }

  /** Sends batches that are full or have waited long enough, while not too many are on their way. */
  #pump(): void {
    while (this.#inFlight.length < BATCHES_IN_FLIGHT_MAX && (this.#due || this.#gatherer.hasFull)) {
      const batch = this.#gatherer.take()
      if (this.#gatherer.last() === null) this.#due = false
      if (batch === undefined) return
      this.#inFlight.push(batch)
      const buffer = batch.writer.take()
      this.#port.postMessage({ kind: 'batch', buffer, used: batch.bytes }, [buffer])
      for (const message of batch.then) this.#port.postMessage(message)
    }
  }

  #batchDone(message: Extract<FromThread, { kind: 'batch-done' }>): void {
    const batch = this.#inFlight.shift()
    if (batch === undefined) return
    // First the next batch, so that the thread works while the callers are told.
    this.#pump()
    this.#answer(batch, message.buffer, message.error === null ? null : fromPlain(message.error))
    this.#gatherer.reuse(message.buffer)
  }

  #answer(batch: Batch, buffer: ArrayBuffer | null, error: Error | null): void {
    answerBatch(batch, buffer, error)
    for (const flushed of batch.flushed) flushed(error)
  }

  #open(kind: NameKind, name: string, maxBytes: number): Promise<number> {
    if (name.length === 0 || name.length > NAME_LENGTH_MAX) {
      return Promise.reject(new InputError('store-name', `Use 1 to ${NAME_LENGTH_MAX} characters for a ${kind}'s name, not ${name.length}`))
    }
    return this.#ask('open', { ask: 'open', kind, name, maxBytes })
  }

  /** Rows are read as they are committed now; every other question waits until the steps before it were sent. */
  #ask<Kind extends keyof Answers>(kind: Kind, query: Extract<Query, { ask: Kind }>): Promise<Answers[Kind]> {
    if (this.#stopped !== null) return Promise.reject(this.#stopped)
    const id = ++this.#lastAsk
    const { promise, resolve, reject } = Promise.withResolvers<Answers[Kind]>()
    this.#asked.set(id, { resolve, reject })
    const message: ToThread = { kind: 'query', id, query }
    const before = kind === 'inbox' || kind === 'stream' ? null : this.#gatherer.last()
    if (before === null) this.#port.postMessage(message)
    else before.then.push(message)
    return promise
  }

  #settled(id: number) {
    const waiting = this.#asked.get(id)
    this.#asked.delete(id)
    return waiting
  }

  #rejectAsked(error: Error): void {
    for (const waiting of this.#asked.values()) waiting.reject(error)
    this.#asked.clear()
  }

  #unflushed(): number {
    return this.#inFlight.reduce((sum, batch) => sum + batch.bytes, this.#gatherer.bytes)
  }

  #refuseRecord(record: Uint8Array): InputError | null {
    if (record.length <= RECORD_BYTES_MAX) return null
    return new InputError('record-too-large', `Cannot store ${record.length} bytes as one record: ${RECORD_BYTES_MAX} at most`)
  }

  #stateKey(key: string): Uint8Array {
    const bytes = Buffer.from(key)
    if (bytes.length > STATE_KEY_BYTES_MAX) {
      this.#stepError ??= new InputError('state-key', `Use a state key of at most ${STATE_KEY_BYTES_MAX} bytes, not ${bytes.length}`)
    }
    return bytes
  }
}

function closed(): ResourceError {
  return new ResourceError('store-closed', 'Cannot use the store: it is closed')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

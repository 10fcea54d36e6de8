import koffi from 'koffi'
import { DunlinError, FunctionError } from '../base/errors.ts'
import { putU64 } from '../event/event-writer.ts'
import { HeadWriter } from '../event/head.ts'
import { Flag, Kind } from '../event/record.ts'
import type { RecordView } from '../shared-memory/channel.ts'
import type { GuestChannel } from '../shared-memory/guest-channel.ts'
import type { GuestInit } from '../workers/nodejs/guest-context.ts'
import { AgentLink, OK } from './agent-link.ts'
import { ContextMemory } from './context-memory.ts'
import { EventMemory, type WaitingEvent } from './event-memory.ts'
import { ABI_VERSION, loadLibrary, type Library } from './library.ts'
import { errorHead, LibraryOutput } from './library-output.ts'
import { addressOf, ownMemory } from './memory.ts'

/** The doorbell rings for this many answers, or this long after the first of them: a busy agent is not woken for each. */
const ANSWERS_PER_BELL = 32
const BELL_AFTER_MS = 0.2
const LEVELS: Record<string, number> = { debug: 10, info: 20, warn: 30, error: 40 }

/**
 * Runs one function library, in a thread that does nothing else: it sleeps in poll(2), reads a burst of events, gives them to the
 * library one after the other, and writes what the library has put into its buffer to the ring. The event loop never runs.
 *
 *   starting -> waiting -> handling -> waiting ... -> stopped
 *
 * While it handles, the library may ask (state, another function): then events that come meanwhile are kept and none is begun.
 * What breaks here ends the process, and with it nothing but this worker.
 */
export class NativeHost {
  readonly #channel: GuestChannel
  readonly #link: AgentLink
  readonly #events = new EventMemory()
  readonly #allowBody: (bytes: number) => void
  #library!: Library
  #context!: ContextMemory
  #output!: LibraryOutput
  #logLevel = LEVELS['info']!
  #isBatched = false
  #init: GuestInit | null = null
  #waiting: WaitingEvent[] = []
  #nextWaiting = 0
  #stop: 'no' | 'drain' | 'end' = 'no'
  #unrung = 0
  #unrungSince = 0

  /** `allowBody` is told before memory is taken for a body. */
  constructor(channel: GuestChannel, allowBody: (bytes: number) => void) {
    this.#allowBody = allowBody
    this.#channel = channel
    this.#link = new AgentLink(channel)
  }

  run(): never {
    this.#channel.onRecord = (view) => this.#onRecord(view)
    this.#channel.onBroken = (error) => die(error)
    try {
      return this.#serve()
    } catch (error) {
      return die(error)
    }
  }

  #serve(): never {
    this.#link.readUntil(() => this.#init !== null)
    this.#start(this.#init!)
    for (;;) {
      const next = this.#take()
      if (next) this.#handle(next)
      else if (this.#stop !== 'no') this.#drain()
      else {
        this.#events.reset()
        this.#ring()
        this.#link.readUntil(() => this.#waiting.length > 0 || this.#stop !== 'no')
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
        return this.#output.onAnswer(view)
      case Kind.credit:
        return this.#output.onCredit(view)
      case Kind.init:
        this.#init = JSON.parse(view.body.toString('utf8')) as GuestInit
        return
      case Kind.stop:
        this.#stop = view.status === STOP_DRAIN_ONLY ? 'drain' : 'end'
        return
    }
  }

  #take(): WaitingEvent | undefined {
    if (this.#nextWaiting < this.#waiting.length) return this.#waiting[this.#nextWaiting++]
    this.#waiting.length = 0
    this.#nextWaiting = 0
    return undefined
  }

  #start(init: GuestInit): void {
    try {
      this.#library = loadLibrary(init.directory, init.handler)
      this.#context = new ContextMemory({
        abi: ABI_VERSION,
        functionName: init.function.name,
        functionVersion: init.function.version,
        workerId: init.workerId,
        triggers: init.triggers,
        send: callback((body, length) => this.#output.collect(body, length)),
        ask: callback((body, length) => this.#output.collect(body, length, true)),
      })
      const { stateExclusive, explicitAck = false, batch = false } = init
      this.#output = new LibraryOutput(this.#link, this.#context, { stateExclusive, explicitAck, allowBody: this.#allowBody })
      this.#isBatched = batch && this.#library.handleBatch !== null
      this.#logLevel = LEVELS[init.logLevel] ?? LEVELS['info']!
      this.#context.logLevel = this.#logLevel
      const code = this.#library.initContext?.(this.#context.address) ?? OK
      this.#output.collect()
      if (this.#output.initFailure !== null) return this.#refuse(this.#output.initFailure)
      if (code !== OK) throw new FunctionError('init-failed', `dunlin_init_context returned ${code}`)
    } catch (error) {
      const hint = error instanceof DunlinError && error.hint !== undefined ? ` (${error.hint})` : ''
      return this.#refuse(errorHead(new HeadWriter(), `${error instanceof Error ? error.message : String(error)}${hint}`))
    }
    this.#link.send(Kind.ready, 0, READY_SEQUENTIAL, 0, null, READY)
    this.#ring()
  }

  #refuse(reason: Uint8Array): never {
    this.#link.send(Kind.initFailed, 0, 500, 0, reason, null)
    this.#ring()
    process.exit(1)
  }

  #handle(first: WaitingEvent): void {
    const isBatch = this.#isBatched
    const events = isBatch && first.hasMore ? this.#takeBatch(first) : [first]
    this.#context.logLevel = first.status >>> 8 === 0 ? this.#logLevel : first.status >>> 8
    for (const { ticket, attempt, status } of events) this.#output.begin(ticket, attempt > 1 || (status & FORGET_STATE) !== 0)
    const code = isBatch ? this.#callBatch(events) : this.#library.handle(this.#context.address, first.address)
    this.#output.collect()
    const { handle, handleBatch } = this.#library.names
    const failure = code === OK ? null : `${isBatch ? handleBatch : handle} returned ${code}`
    for (const { ticket } of events) this.#output.end(ticket, failure, isBatch ? Flag.batchFailed : 0)
    this.#ringSoon(events.length)
  }

  #takeBatch(first: WaitingEvent): WaitingEvent[] {
    const events = [first]
    while (events.at(-1)!.hasMore) {
      const next = this.#take()
      if (next) events.push(next)
      else this.#link.readUntil(() => this.#waiting.length > 0)
    }
    return events
  }

  #callBatch(events: readonly WaitingEvent[]): number {
    const pointers = ownMemory(events.length * 8)
    for (const [index, { address }] of events.entries()) putU64(pointers, index * 8, address)
    return this.#library.handleBatch!(this.#context.address, addressOf(pointers), events.length)
  }

  #drain(): void {
    const isEnd = this.#stop === 'end'
    this.#stop = 'no'
    this.#library.drain?.(this.#context.address)
    this.#output.collect()
    if (isEnd) {
      this.#library.terminate?.(this.#context.address)
      this.#output.collect()
    }
    this.#ring()
    if (isEnd) process.exit(0)
  }

  #ringSoon(answers: number): void {
    const now = performance.now()
    if (this.#unrung === 0) this.#unrungSince = now
    this.#unrung += answers
    if (this.#unrung >= ANSWERS_PER_BELL || now - this.#unrungSince > BELL_AFTER_MS) this.#ring()
  }

  #ring(): void {
    this.#unrung = 0
    this.#link.ring()
  }
}

/** The address of a function for C. An exception must not go through C: it ends the process. */
function callback(run: (body: number, length: number) => number): bigint {
  const guarded = (_context: number, body: number, length: number): number => {
    try {
      return run(body, length)
    } catch (error) {
      return die(error)
    }
  }
  return koffi.register(guarded, koffi.pointer(koffi.proto('int32_t (uintptr_t context, uintptr_t body, size_t length)')))
}

const READY = Buffer.from('{"guest":"native","mode":"sync"}')
const READY_SEQUENTIAL = 1
const STOP_DRAIN_ONLY = 1
const FORGET_STATE = 1

/** The last words of this process: the agent takes its last line for the reason. */
function die(error: unknown): never {
  console.error(error instanceof Error ? error.message : String(error))
  process.exit(1)
}

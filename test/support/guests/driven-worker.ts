import type { ExecutionContext } from 'ava'
import { silentLogger } from '../../../runtime/base/log.ts'
import { Delivery } from '../../../runtime/dispatch/delivery.ts'
import { bodyOf, headOf } from '../../../runtime/event/event-writer.ts'
import { findItem, itemsOf } from '../../../runtime/event/head.ts'
import { AT, Kind, Tag } from '../../../runtime/event/record.ts'
import { runtimes } from '../../../runtime/workers/registry.ts'
import type { FunctionVersion, Worker, WorkerHost, WorkerOptions } from '../../../runtime/workers/worker.ts'
import { encodeVector, type RecordVector } from '../../conformance/record/vector.ts'
import { tempDir } from '../temp-dir.ts'
import { fixtureVersion, type GuestKind } from './guest-kinds.ts'

/** What a guest did with an event: its answer and, in order, what it asked for before. */
export interface Handled {
  readonly status: number
  readonly text: string
  readonly body: Buffer
  readonly contentType: string | undefined
  readonly headers: Record<string, string>
  readonly error: string | undefined
  readonly stack: string | undefined
  readonly operations: readonly Operation[]
  /** Its place among the answers of this worker, from 0. */
  readonly order: number
}

export interface Operation {
  readonly kind: number
  readonly flags: number
  /** Its stream, topic or key. */
  readonly name: string
  readonly contentType: string | undefined
  readonly headers: Record<string, string>
  readonly body: Buffer
}

export type EventFields = Partial<Omit<RecordVector, 'name' | 'kind' | 'bodyHex' | 'bytesHex'>>

interface Ended {
  readonly error: Error
  /** Their bodies. */
  readonly blamed: readonly string[]
  readonly innocent: readonly string[]
}

/**
 * A worker of the real runtime, with this class in the place of the pool: the suite gives events one by one and sees each record
 * of the guest. State is kept here, and changes when an event has succeeded.
 */
export class DrivenWorker {
  readonly logs: { level: number; message: string; fields: string }[] = []
  readonly state = new Map<string, Buffer>()
  /** Keys that the guest has asked for. */
  readonly asked: string[] = []
  /** Answers a CALL: a whole RESULT record, or null for none. */
  onCall: (name: string, record: Buffer) => Buffer | null = () => null
  readonly worker: Worker
  readonly #end = Promise.withResolvers<Ended>()
  readonly ended: Promise<Ended> = this.#end.promise
  readonly #waiting = new Map<Delivery, PromiseWithResolvers<Handled>>()
  #answers = 0
  #changed: PromiseWithResolvers<void> = Promise.withResolvers()

  constructor(version: FunctionVersion, runtime: { createWorker(options: WorkerOptions): Worker }, options: Partial<WorkerOptions> = {}) {
    this.worker = runtime.createWorker({
      id: 3,
      function: version,
      triggers: [{ name: 'sensors', kind: 'mqtt', class: 'async' }],
      concurrency: 1024,
      eventTimeoutMs: 30_000,
      stateExclusive: false,
      host: this.#host(),
      logger: silentLogger,
      ...options,
    })
  }

  static async make(
    t: ExecutionContext,
    kind: GuestKind,
    name = 'fixture',
    options: Partial<WorkerOptions> = {},
    logLevel = 'debug',
  ): Promise<DrivenWorker> {
    const version = fixtureVersion(kind, tempDir(t), name, `  loggerSinks: [{ level: ${logLevel} }]`)
    const driven = new DrivenWorker(version, await runtimes[version.config.runtime](), options)
    t.teardown(() => driven.worker.stop(0))
    return driven
  }

  static async start(...args: Parameters<typeof DrivenWorker.make>): Promise<DrivenWorker> {
    const driven = await DrivenWorker.make(...args)
    await driven.worker.start()
    return driven
  }

  /** Gives an event and waits for its answer; rejects when the worker ends before. */
  async call(body: string | Buffer, fields: EventFields = {}): Promise<Handled> {
    const answered = this.post(body, fields)
    this.worker.flush()
    return answered
  }

  /** `call` with a script of steps. */
  run(...steps: string[]): Promise<Handled> {
    return this.call(steps.join('\n'))
  }

  /** Gives an event without waking the worker: call `worker.flush()` after the last. */
  post(body: string | Buffer, fields: EventFields = {}): Promise<Handled> {
    const { delivery, answered } = this.#expect(body, fields)
    if (!this.worker.offer(delivery)) throw new Error('The worker does not take the event')
    return answered
  }

  /** Gives events as one batch and waits for the answer of each. */
  callBatch(bodies: readonly string[]): Promise<Handled[]> {
    const expected = bodies.map((body) => this.#expect(body, {}))
    if (!this.worker.offerBatch(expected.map(({ delivery }) => delivery))) throw new Error('The worker does not take the batch')
    this.worker.flush()
    return Promise.all(expected.map(({ answered }) => answered))
  }

  #expect(body: string | Buffer, fields: EventFields): { delivery: Delivery; answered: Promise<Handled> } {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const record = encodeVector({ ...PLAIN, ...fields, bodyHex: '' }, bytes)
    const delivery = new Delivery(record, 1, '', (fields.attempt ?? 1) - 1, null, performance.now())
    const answered = Promise.withResolvers<Handled>()
    answered.promise.catch(() => {})
    this.#waiting.set(delivery, answered)
    return { delivery, answered: answered.promise }
  }

  /** Waits until the worker has logged, asked or answered something that makes `isTrue` hold. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await this.#changed.promise
  }

  /** Lines that were printed or logged. */
  get lines(): string[] {
    return this.logs.map(({ message }) => message)
  }

  #host(): WorkerHost {
    return {
      onResult: (_worker, delivery, result) => this.#onResult(delivery, result),
      onAck: () => {},
      onStream: () => {},
      onFailed: (delivery, error) => {
        this.#waiting.get(delivery)?.reject(error)
        this.#waiting.delete(delivery)
      },
      onExit: (_worker, error, blamed, innocent) => this.#onExit(error, blamed, innocent),
      onRoom: () => {},
      getState: (key, answer) => {
        this.asked.push(key)
        answer(this.state.get(key))
      },
      call: (name, record, answer) => {
        const result = this.onCall(name, record)
        if (result !== null) answer(result)
      },
      log: (level, message, fields) => {
        this.logs.push({ level, message, fields })
        this.#notify()
      },
    }
  }

  #onResult(delivery: Delivery, result: Buffer): void {
    const handled = handledOf(delivery, result, this.#answers++)
    if (handled.status < 500) for (const operation of handled.operations) this.#commit(operation)
    this.#waiting.get(delivery)?.resolve(handled)
    this.#waiting.delete(delivery)
    this.#notify()
  }

  #onExit(error: Error, blamed: Delivery[], innocent: Delivery[]): void {
    const texts = (deliveries: Delivery[]): string[] => deliveries.map(({ record }) => bodyOf(record).toString())
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
    this.#end.resolve({ error, blamed: texts(blamed), innocent: texts(innocent) })
    this.#notify()
  }

  #commit({ kind, name, body }: Operation): void {
    if (kind === Kind.stateSet) this.state.set(name, body)
    else if (kind === Kind.stateDelete) this.state.delete(name)
  }

  #notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

const PLAIN: Omit<RecordVector, 'bytesHex'> = {
  name: 'event',
  kind: Kind.event,
  flags: 1,
  status: 0,
  ticket: 0,
  timeUs: 1_700_000_000_123_456,
  monotonicNs: 987_654_321_098,
  id: '01890a5dac96774bbcceb302099a8057',
  source: 0,
  attempt: 1,
  boot: 7,
  head: [],
  bodyHex: '',
}

function handledOf(delivery: Delivery, result: Buffer, order: number): Handled {
  const head = headOf(result)
  return {
    status: result.readUInt16LE(AT.status),
    text: bodyOf(result).toString(),
    body: bodyOf(result),
    contentType: findItem(head, Tag.contentType),
    headers: { ...itemsOf(head, Tag.header) },
    error: findItem(head, Tag.error),
    stack: findItem(head, Tag.stack),
    operations: delivery.operations.map(operationOf),
    order,
  }
}

function operationOf(record: Buffer): Operation {
  const head = headOf(record)
  return {
    kind: record[AT.kind]!,
    flags: record[AT.flags]!,
    name: findItem(head, Tag.stream) ?? findItem(head, Tag.topic) ?? findItem(head, Tag.key) ?? '',
    contentType: findItem(head, Tag.contentType),
    headers: { ...itemsOf(head, Tag.header) },
    body: bodyOf(record),
  }
}

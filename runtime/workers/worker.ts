import type { Answer, Delivery } from '../dispatch/delivery.ts'
import type { ExplicitAckMode, FunctionConfig } from '../../config/function-config.ts'
import type { Logger } from '../base/log.ts'

/** One version of a function, on disk and ready to be started. */
export interface FunctionVersion {
  readonly config: FunctionConfig
  readonly version: string
  /** Where its files are. */
  readonly directory: string
  /** Its workers run under a debugger, which connects there. */
  readonly debug?: DebugOptions
}

export interface DebugOptions {
  readonly host: string
  readonly port: number
  /** The worker waits for the debugger before it loads the handler. */
  readonly isWaiting: boolean
}

/**
 * One worker: it takes events up to its capacity and answers each exactly once, through its host. Modes:
 *
 *   starting -> serving -> draining -> stopped
 *       \________\__________\______-> stopped (it crashed, was killed, or its init failed)
 *
 * Whatever it does, only itself is lost: every event it held is handed back through `onExit`.
 */
export interface Worker {
  readonly id: number
  readonly inFlight: number
  readonly capacity: number
  /** Events that it has answered wait for its acknowledgement: it is not idle. */
  readonly isKeepingEvents?: boolean
  /** Resolves when the handler is loaded and init_context has run; rejects with a FunctionError. */
  start(): Promise<void>
  /** False when it cannot take it now. */
  offer(delivery: Delivery): boolean
  /** Gives all of them as one batch: the handler is called once. False: it cannot take them now, and has none of them. */
  offerBatch(deliveries: readonly Delivery[]): boolean
  /** Asks the handler to acknowledge what it has answered and not acknowledged; the worker goes on. */
  drain?(): void
  /** It handles one event after the other, in the order they were given. Known once it serves. */
  readonly isSequential: boolean
  forEachInFlight(visit: (delivery: Delivery) => void): void
  /** After a burst of offers: wakes the worker if it sleeps. */
  flush(): void
  /** Memory it uses now, what it has forked included. */
  memoryBytes(): number | Promise<number>
  /** Ends it at once, as if it had ended by itself; `cause` is told. */
  end(cause: Error): void
  /** Lets it finish what it has, for `graceMs` at most, then ends it. Idempotent. */
  stop(graceMs: number): Promise<void>
}

export interface WorkerHost {
  /**
   * The handler answered. `result` is a RESULT record owned by the receiver. With the flag noAck (and `explicitAckMode`) onAck follows;
   * it may also have come before.
   */
  onResult(worker: Worker, delivery: Delivery, result: Buffer): void
  /** The handler acknowledged an event explicitly. `error`: why it failed instead. */
  onAck(delivery: Delivery, error: string | null): void
  /** The answer comes in parts, in `delivery.stream`; onResult follows when there are no more. */
  onStream(delivery: Delivery, head: Answer): void
  /** The event failed (a time-out, say), and the worker goes on. */
  onFailed(delivery: Delivery, error: Error): void
  /**
   * The worker is gone. `blamed` events were running when it happened; `innocent` ones had not been started.
   */
  onExit(worker: Worker, error: Error, blamed: Delivery[], innocent: Delivery[]): void
  /** It can take more than its last refused offer. */
  onRoom(worker: Worker): void
  /** context.state.get: `answer` is called once, at any time. */
  getState(key: string, answer: (value: Uint8Array | undefined) => void): void
  /** context.platform.call_function */
  call(functionName: string, record: Buffer, answer: (result: Buffer) => void): void
  /** A line of the function's log. `fields` is JSON text or empty. */
  log(level: number, message: string, fields: string): void
}

export interface TriggerInfo {
  readonly name: string
  readonly kind: string
  readonly class: string
}

export interface WorkerOptions {
  readonly id: number
  readonly function: FunctionVersion
  /** Where its events come from; an event's `source` (AT.source) is an index of it. */
  readonly triggers: readonly TriggerInfo[]
  readonly concurrency: number
  readonly eventTimeoutMs: number
  /** It must be ready so long after its start; default START_LIMIT_MS. */
  readonly startLimitMs?: number
  /** The handler gets lists of events, by offerBatch only. */
  readonly batch?: boolean
  readonly explicitAckMode?: ExplicitAckMode
  /** All workers of the function together may use so much; null: the default. */
  readonly memoryLimitBytes?: number | null
  /** No other worker of this function changes its state: the guest may keep a copy. */
  readonly stateExclusive: boolean
  readonly host: WorkerHost
  readonly logger: Logger
}

/** A runtime kind makes workers. */
export interface Runtime {
  createWorker(options: WorkerOptions): Worker
}

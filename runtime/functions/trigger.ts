import type { TriggerConfig } from '../../config/function-config.ts'
import type { Answer, Reply, StreamReply } from '../dispatch/delivery.ts'
import type { EventWriter } from '../event/event-writer.ts'
import type { Logger } from '../base/log.ts'

/** Where a trigger puts its events. Records come from `events`. */
export interface TriggerSink {
  readonly events: EventWriter
  /** Durable: `done` after the commit. The trigger acknowledges its source there and nowhere else. */
  accept(record: Buffer, done: (error: Error | null) => void): void
  /**
   * Direct: nothing is kept on disk; `reply` (when given) gets the handler's answer. With `onStream` an answer in parts goes there
   * as it comes; without, it is gathered for `reply`.
   */
  invoke(record: Buffer, reply: Reply | null, onStream?: StreamReply): void
  /** Whether an event of this trigger has not ended: it waits, runs or is to be tried again. */
  isBusy(): boolean
}

/** A source of events, between `start` and `stop`. */
export interface Trigger {
  start(): Promise<void>
  /** Takes no new events; those it gave go on. Idempotent. */
  stop(): Promise<void>
  /**
   * For a trigger that sends answers on: an event of it, which nobody waits for, was handled well, and its step is committed. The event
   * may be from an earlier start of the agent.
   */
  answered?(record: Buffer, answer: Answer): void
  /** For a trigger whose source may be away: how things stand with it, such as `connected`. */
  readonly connection?: string
}

export interface TriggerContext {
  readonly functionName: string
  /** Of the function, when the trigger was made. */
  readonly version: string
  readonly sink: TriggerSink
  readonly logger: Logger
}

/** Made by the agent from adapters/triggers/registry.ts: the processor knows no kind of trigger. */
export type MakeTrigger = (config: TriggerConfig, context: TriggerContext) => Promise<Trigger>

/** What triggers of all kinds share in function.yaml: Nuclio's shape, with `delivery`, `orderKey` and `concurrency` beside it. */
import * as v from 'valibot'
import type { Checker } from '../check.ts'
import { duration, durationOr, integer, stringMap, text } from '../fields.ts'
import type { Notices } from '../notices.ts'
import { TRIGGER_WITHOUT_EFFECT } from '../nuclio-fields.ts'
import { anything } from '../without-effect.ts'

export type Delivery = 'durable' | 'direct'
export type OrderKey = 'topic' | 'source' | 'none'
/** Nuclio's: may a handler answer an event and acknowledge it later, and must it. */
export type ExplicitAckMode = 'disable' | 'enable' | 'explicitOnly'

export type AllocationMode = 'pool' | 'static'

/** How the workers of a trigger live. Triggers that share a pool have the same ones. */
export interface PoolSettings {
  /** Triggers of one function that name the same one share its workers; null: this trigger has its own. */
  readonly name: string | null
  /** `numWorkers` is the most there may be. Fewer here: the pool grows and shrinks; 0: it ends its last worker when idle. */
  readonly minWorkers: number
  /** A worker above `minWorkers` that had nothing to do for so long is ended. */
  readonly idleTimeoutMs: number
  /** With `minWorkers: 0`: the first worker starts with the agent, not with the first event. */
  readonly prewarm: boolean
  /** pool: the least loaded worker; static: an order key always goes to the same one. */
  readonly allocation: AllocationMode
}

export interface TriggerBase {
  readonly name: string
  readonly numWorkers: number
  /** Events in flight per worker. */
  readonly concurrency: number
  readonly pool: PoolSettings
  readonly delivery: Delivery
  readonly orderKey: OrderKey
  readonly workerAvailabilityTimeoutMs: number
  /** The handler gets lists of events; null: one event at a time. */
  readonly batch: BatchConfig | null
  readonly explicitAckMode: ExplicitAckMode
  /** An event that was answered and not acknowledged for so long has failed. */
  readonly explicitAckTimeoutMs: number
  readonly annotations: Readonly<Record<string, string>>
}

export interface BatchConfig {
  readonly size: number
  /** An incomplete batch is given this long after its oldest event came. */
  readonly timeoutMs: number
}

/** What a kind is given to compile its part: `path` is where it stands in the document. */
export interface TriggerCompile {
  readonly checker: Checker
  readonly notices: Notices
  readonly path: readonly string[]
  readonly functionName: string
}

/**
 * One kind of trigger: what may be written and what becomes of it. A kind is one file here and one line in registry.ts, and
 * one file and one line in adapters/triggers.
 */
export interface TriggerKindOf<Schema extends v.GenericSchema, Compiled> {
  readonly schema: Schema
  readonly defaults: { readonly delivery: Delivery; readonly orderKey: OrderKey }
  /** Attributes of Nuclio's that have no effect here, and why. */
  readonly attributesWithoutEffect: Readonly<Record<string, string>>
  /** null after a problem. */
  compile(given: v.InferOutput<Schema>, base: TriggerBase, context: TriggerCompile): Compiled | null
}

/** Keeps the types of schema and result together. */
export function triggerKind<const Schema extends v.GenericSchema, Compiled extends TriggerBase>(
  kind: TriggerKindOf<Schema, Compiled>,
): TriggerKindOf<Schema, Compiled> {
  return kind
}

const DAY_MS = 86_400_000

/** Each worker is a thread or a process: more of them than this is a mistake on a device. */
const WORKERS_MAX = 64
/** Events in flight per worker: the ring's window holds no more. */
const CONCURRENCY_MAX = 1024
/** As CONCURRENCY_MAX: a batch is in flight whole. */
const BATCH_SIZE_MAX = 1024
const HOUR_MS = 3_600_000

export const common = {
  name: v.optional(text(128)),
  /** Left out, with a notice, when true. */
  disabled: v.optional(v.boolean(), false),
  /** Default 1: more only help handlers that compute, waiting ones overlap by `concurrency`. */
  numWorkers: v.optional(integer({ min: 1, max: WORKERS_MAX })),
  /** Alone it is Nuclio's old name for numWorkers; with minWorkers the most workers of a pool that grows and shrinks. */
  maxWorkers: v.optional(integer({ min: 1, max: WORKERS_MAX })),
  /** Default: as many as numWorkers, so the pool keeps its size. 0: no worker runs while there is nothing to do. */
  minWorkers: v.optional(integer({ min: 0, max: WORKERS_MAX })),
  /** Default 5 min: longer than the pauses of a busy source, and a start costs tens to hundreds of milliseconds. */
  idleTimeout: v.optional(duration({ min: 100, max: DAY_MS })),
  /** Default false: with minWorkers 0, the first event starts the first worker. */
  prewarm: v.optional(v.boolean()),
  /** Default pool. */
  workerAllocationMode: v.optional(v.picklist(['pool', 'static'])),
  /** Triggers that name the same one share one pool. */
  workerAllocatorName: v.optional(v.pipe(v.string(), v.maxLength(128, 'at most 128 characters'))),
  /** Default 64 for nodejs, 256 for python, 1 for shell (runtimes.ts). */
  concurrency: v.optional(integer({ min: 1, max: CONCURRENCY_MAX })),
  /** Default: direct for http (the caller waits), else durable (stored before the source is acknowledged). */
  delivery: v.optional(v.picklist(['durable', 'direct'])),
  /** Events with the same key keep their order. Default: topic for mqtt, source for cron, none for http. */
  orderKey: v.optional(v.picklist(['topic', 'source', 'none'])),
  /** Default 10,000 ms, Nuclio's: how long a direct event waits for a free worker before it is refused. */
  workerAvailabilityTimeoutMilliseconds: v.optional(integer({ min: 0, max: DAY_MS }), 10_000),
  annotations: v.optional(stringMap, {}),
  url: v.optional(v.string()),
  /** Default disable: an answer acknowledges. enable: one with ensure_no_ack() does not. explicitOnly: none does. */
  explicitAckMode: v.optional(v.picklist(['disable', 'enable', 'explicitOnly', '']), 'disable'),
  /** 60 s: as long as the last wait between two attempts. */
  explicitAckTimeout: v.optional(duration({ min: 1, max: DAY_MS }), '60s'),
  batch: v.optional(
    v.strictObject({
      mode: v.optional(v.picklist(['disable', 'enable', '']), 'disable'),
      /** 10, Nuclio's. */
      batchSize: v.optional(integer({ min: 1, max: BATCH_SIZE_MAX }), 10),
      /** 1 s, Nuclio's. */
      timeout: durationOr('1s', { min: 1, max: HOUR_MS }),
    }),
  ),
  ...anything(TRIGGER_WITHOUT_EFFECT),
}

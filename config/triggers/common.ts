/** What triggers of all kinds share in function.yaml: Nuclio's shape, with `delivery`, `orderKey` and `concurrency` beside it. */
import * as v from 'valibot'
import type { Checker } from '../check.ts'
import { integer, stringMap, text } from '../fields.ts'
import type { Notices } from '../notices.ts'
import { TRIGGER_WITHOUT_EFFECT } from '../nuclio-fields.ts'
import { anything } from '../without-effect.ts'

export type Delivery = 'durable' | 'direct'
export type OrderKey = 'topic' | 'source' | 'none'

export interface TriggerBase {
  readonly name: string
  readonly numWorkers: number
  /** Events in flight per worker. */
  readonly concurrency: number
  readonly delivery: Delivery
  readonly orderKey: OrderKey
  readonly workerAvailabilityTimeoutMs: number
  readonly annotations: Readonly<Record<string, string>>
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

export const common = {
  name: v.optional(text(128)),
  /** Left out, with a notice, when true. */
  disabled: v.optional(v.boolean(), false),
  /** Default 1: more only help handlers that compute, waiting ones overlap by `concurrency`. */
  numWorkers: v.optional(integer({ min: 1, max: WORKERS_MAX })),
  /** Nuclio's old name for numWorkers. */
  maxWorkers: v.optional(integer({ min: 1, max: WORKERS_MAX })),
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
  /** `disable` is what there is; the rest would change what a handler must do, so it is refused and not ignored. */
  explicitAckMode: v.optional(v.picklist(['disable', ''])),
  batch: v.optional(
    v.strictObject({ mode: v.optional(v.picklist(['disable', ''])), batchSize: v.optional(v.unknown()), timeout: v.optional(v.unknown()) }),
  ),
  ...anything(TRIGGER_WITHOUT_EFFECT),
}

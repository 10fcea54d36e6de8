/** Triggers as function.yaml holds them: Nuclio's shape, with `delivery`, `orderKey` and `concurrency` beside it. One schema a kind. */
import * as v from 'valibot'
import { duration, integer, port, size, stringMap, text, topicFilter } from './fields.ts'
import type { TriggerKind } from './function-types.ts'
import { ATTRIBUTES_WITHOUT_EFFECT, TRIGGER_WITHOUT_EFFECT } from './nuclio-fields.ts'
import { scheduleFault } from './cron-schedule.ts'

const KiB = 1024
const MiB = 1024 * KiB
const DAY_MS = 86_400_000

/** Each worker is a thread or a process: more of them than this is a mistake on a device. */
const WORKERS_MAX = 64
/** Events in flight per worker: the ring's window holds no more. */
const CONCURRENCY_MAX = 1024

/** Accepted with any value; what has no effect is named in a notice. */
export const anything = <const T extends Readonly<Record<string, string>>>(fields: T) =>
  Object.fromEntries(Object.keys(fields).map((key) => [key, v.optional(v.unknown())])) as {
    [K in keyof T]: v.OptionalSchema<v.UnknownSchema, undefined>
  }

const common = {
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

const qos = v.pipe(v.number(), v.integer('0, 1 or 2'), v.minValue(0, '0, 1 or 2'), v.maxValue(2, '0, 1 or 2'))

export const MqttTrigger = v.strictObject({
  ...common,
  kind: v.literal('mqtt'),
  attributes: v.strictObject({
    subscriptions: v.pipe(
      v.array(
        v.strictObject({
          topic: topicFilter,
          /** Default 1, so that a sensor's message counts as delivered only when it is stored. */
          qos: v.optional(qos, 1),
        }),
      ),
      v.minLength(1, 'at least one subscription'),
      v.maxLength(100, 'at most 100 subscriptions'),
    ),
    ...anything(ATTRIBUTES_WITHOUT_EFFECT.mqtt),
  }),
})

const names = v.optional(v.array(text(256)))
const httpPath = v.pipe(v.string(), v.regex(/^\/[^\s?#]*$/, 'a path that begins with "/"'), v.maxLength(1024, 'at most 1024 characters'))

export const HttpTrigger = v.strictObject({
  ...common,
  kind: v.literal('http'),
  attributes: v.optional(
    v.strictObject({
      port: v.optional(port),
      paths: v.optional(v.pipe(v.array(httpPath), v.minLength(1, 'at least one path'), v.maxLength(100, 'at most 100 paths'))),
      /** 4 MiB, Nuclio's: a body is held in memory whole. A number counts bytes. */
      maxRequestBodySize: v.optional(v.union([integer({ min: 1, max: 64 * MiB }), size({ min: 1, max: 64 * MiB })]), '4MiB'),
      cors: v.optional(
        v.strictObject({
          enabled: v.optional(v.boolean(), false),
          allowOrigins: names,
          allowOrigin: v.optional(text(256)),
          allowMethods: names,
          allowHeaders: names,
          allowCredentials: v.optional(v.boolean(), false),
          /** 5 s: browsers' own default. */
          preflightMaxAgeSeconds: v.optional(integer({ min: 0, max: 86_400 }), 5),
        }),
      ),
      ...anything(ATTRIBUTES_WITHOUT_EFFECT.http),
    }),
    {},
  ),
})

const schedule = v.pipe(
  v.string(),
  v.check(
    (given) => scheduleFault(given) === null,
    (issue) => scheduleFault(issue.input) ?? 'a schedule',
  ),
)

const timezone = v.pipe(v.string(), v.check(isTimezone, 'a time zone such as "Europe/Berlin"'))

export const CronTrigger = v.strictObject({
  ...common,
  kind: v.literal('cron'),
  attributes: v.strictObject({
    schedule: v.optional(schedule),
    /** At least 100 ms: a faster clock is a loop inside a function. */
    interval: v.optional(duration({ min: 100, max: 366 * DAY_MS })),
    timezone: v.optional(timezone),
    event: v.optional(
      v.strictObject({
        body: v.optional(v.pipe(v.string(), v.maxLength(MiB, 'at most 1048576 characters')), ''),
        headers: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {}),
      }),
      {},
    ),
    ...anything(ATTRIBUTES_WITHOUT_EFFECT.cron),
  }),
})

export const triggerSchemas = { mqtt: MqttTrigger, http: HttpTrigger, cron: CronTrigger } as const satisfies Record<
  TriggerKind,
  v.GenericSchema
>
export const TRIGGER_KINDS = Object.keys(triggerSchemas) as TriggerKind[]

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

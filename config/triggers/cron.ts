/** kind: cron. Events by the clock. */
import * as v from 'valibot'
import { compileSchedule, scheduleFault } from '../cron-schedule.ts'
import { duration, integer } from '../fields.ts'
import { anything } from '../without-effect.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'
import { givenEvent } from './given-event.ts'

const DAY_MS = 86_400_000

/** What becomes of runs that were missed while the agent was down, or because the clock was set forward. */
export type CatchUp = 'none' | 'last' | 'all'
/** Whether a run may begin while another one of the same trigger has not ended. Kubernetes' names, which Nuclio takes. */
export type ConcurrencyPolicy = 'Allow' | 'Forbid'

/** `all` makes up for this many at the most: they come at once, and a device has other things to do. */
const CATCH_UP_MAX = 1_000

/** Exactly one of `schedule` and `intervalMs` is not null. */
export interface CronTriggerConfig extends TriggerBase {
  readonly kind: 'cron'
  /** Five fields, or six with seconds in front. */
  readonly schedule: string | null
  readonly intervalMs: number | null
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** IANA name; null: the device's own. */
  readonly timezone: string | null
  readonly catchUp: CatchUp
  /** Of `catchUp: all`, the newest. */
  readonly catchUpMax: number
  readonly concurrencyPolicy: ConcurrencyPolicy
}

const WITHOUT_EFFECT = { jobBackoffLimit: 'see spec.maxAttempts' }

const schedule = v.pipe(
  v.string(),
  v.check(
    (given) => scheduleFault(given) === null,
    (issue) => scheduleFault(issue.input) ?? 'a schedule',
  ),
)

const timezone = v.pipe(v.string(), v.check(isTimezone, 'a time zone such as "Europe/Berlin"'))

const schema = v.strictObject({
  ...common,
  kind: v.literal('cron'),
  attributes: v.strictObject({
    schedule: v.optional(schedule),
    /** At least 100 ms: a faster clock is a loop inside a function. */
    interval: v.optional(duration({ min: 100, max: 366 * DAY_MS })),
    timezone: v.optional(timezone),
    /** none: as Nuclio. last: one run for all that were missed. all: each, at most catchUpMax of them. */
    catchUp: v.optional(v.picklist(['none', 'last', 'all']), 'none'),
    catchUpMax: v.optional(integer({ min: 1, max: CATCH_UP_MAX }), 100),
    /** Forbid: a slow handler must not gather a queue of the same work. */
    concurrencyPolicy: v.optional(v.picklist(['Allow', 'Forbid', 'Replace', '']), 'Forbid'),
    event: givenEvent,
    ...anything(WITHOUT_EFFECT),
  }),
})

export const cron = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'source' },
  attributesWithoutEffect: WITHOUT_EFFECT,
  compile({ attributes, orderKey }, base, { checker, notices, path }): CronTriggerConfig | null {
    const { schedule, interval, event, timezone, catchUp, catchUpMax } = attributes
    // Nuclio's documents may say Replace: they run, and are told.
    if (attributes.concurrencyPolicy === 'Replace') {
      const sentence = 'acts as Forbid here: a running handler is not broken off; an eventTimeout shorter than the schedule comes close'
      notices.add([...path, 'attributes', 'concurrencyPolicy'], sentence)
    }
    const concurrencyPolicy = attributes.concurrencyPolicy === 'Allow' ? 'Allow' : 'Forbid'
    if ((schedule === undefined) === (interval === undefined)) {
      checker.add([...path, 'attributes'], `expected one of schedule and interval, got ${schedule === undefined ? 'neither' : 'both'}`)
      return null
    }
    const compiled = schedule === undefined ? { intervalMs: interval! } : compileSchedule(schedule)
    return {
      ...base,
      kind: 'cron',
      // Runs that may overlap need no order among themselves.
      orderKey: orderKey ?? (concurrencyPolicy === 'Allow' ? 'none' : base.orderKey),
      schedule: 'schedule' in compiled ? compiled.schedule : null,
      intervalMs: 'intervalMs' in compiled ? compiled.intervalMs : null,
      ...event,
      timezone: timezone ?? null,
      catchUp,
      catchUpMax,
      concurrencyPolicy,
    }
  },
})

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** kind: cron. Events by the clock. */
import * as v from 'valibot'
import { compileSchedule, scheduleFault } from '../cron-schedule.ts'
import { duration } from '../fields.ts'
import { NO_CLUSTER } from '../nuclio-fields.ts'
import { anything } from '../without-effect.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'

const MiB = 1024 * 1024
const DAY_MS = 86_400_000

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
}

const WITHOUT_EFFECT = { concurrencyPolicy: NO_CLUSTER, jobBackoffLimit: NO_CLUSTER }

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
    event: v.optional(
      v.strictObject({
        body: v.optional(v.pipe(v.string(), v.maxLength(MiB, 'at most 1048576 characters')), ''),
        headers: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {}),
      }),
      {},
    ),
    ...anything(WITHOUT_EFFECT),
  }),
})

export const cron = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'source' },
  attributesWithoutEffect: WITHOUT_EFFECT,
  compile({ attributes }, base, { checker, path }): CronTriggerConfig | null {
    const { schedule, interval, event, timezone } = attributes
    if ((schedule === undefined) === (interval === undefined)) {
      checker.add([...path, 'attributes'], `expected one of schedule and interval, got ${schedule === undefined ? 'neither' : 'both'}`)
      return null
    }
    const compiled = schedule === undefined ? { intervalMs: interval! } : compileSchedule(schedule)
    return {
      ...base,
      kind: 'cron',
      schedule: 'schedule' in compiled ? compiled.schedule : null,
      intervalMs: 'intervalMs' in compiled ? compiled.intervalMs : null,
      body: event.body,
      headers: Object.fromEntries(Object.entries(event.headers).map(([key, value]) => [key, String(value)])),
      timezone: timezone ?? null,
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

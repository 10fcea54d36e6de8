/**
 * Cron schedules: five fields, or six with seconds in front; and the names that Nuclio's parser knows, such as `@hourly`. node-cron
 * reads the fields. When they are due is decided in adapters/triggers/cron-ticks.ts.
 */
import { parse, validateDetailed, type ParsedFields } from 'node-cron'
import { parseDurationMs } from './units.ts'

const NAMED: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

interface Field {
  readonly key: keyof ParsedFields
  readonly name: string
  readonly min: number
  readonly max: number
}

const FIELDS: readonly Field[] = [
  { key: 'second', name: 'second', min: 0, max: 59 },
  { key: 'minute', name: 'minute', min: 0, max: 59 },
  { key: 'hour', name: 'hour', min: 0, max: 23 },
  { key: 'dayOfMonth', name: 'day of the month', min: 1, max: 31 },
  { key: 'month', name: 'month', min: 1, max: 12 },
  { key: 'dayOfWeek', name: 'day of the week', min: 0, max: 7 },
]

/** A schedule taken apart: which seconds, minutes, ... it names. `weekdays[0]` is Sunday. */
export interface ScheduleFields {
  readonly seconds: readonly boolean[]
  readonly minutes: readonly boolean[]
  readonly hours: readonly boolean[]
  /** Index 1 to 31. */
  readonly days: readonly boolean[]
  /** Index 1 to 12. */
  readonly months: readonly boolean[]
  readonly weekdays: readonly boolean[]
  /** Day of the month and day of the week are both narrowed: a day that meets one of them will do, as in every cron. */
  readonly eitherDay: boolean
  /** Every hour of the day: such a schedule goes by elapsed time where the clock changes, others by the time on the wall. */
  readonly everyHour: boolean
}

/** Only for schedules without a fault. */
export function parseSchedule(schedule: string): ScheduleFields {
  const fields = parse(schedule)
  const [days, , weekdays] = schedule.split(' ').slice(-3)
  const set = ({ key, max }: Field): boolean[] => {
    const named: readonly (number | string)[] = fields[key]
    return Array.from({ length: max + 1 }, (_, value) => named.includes(value))
  }
  const [seconds, minutes, hours, monthDays, months, weekDays] = FIELDS.map(set) as [
    boolean[],
    boolean[],
    boolean[],
    boolean[],
    boolean[],
    boolean[],
  ]
  return {
    seconds,
    minutes,
    hours,
    days: monthDays,
    months,
    weekdays: weekDays,
    eitherDay: !days!.startsWith('*') && !weekdays!.startsWith('*'),
    everyHour: hours.every(Boolean),
  }
}

const DAYS_OF_MONTH = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** The 30th of February is no schedule: it would wait for ever and say nothing. */
function hasSomeDay({ days, months, weekdays, eitherDay }: ScheduleFields): boolean {
  if (eitherDay && weekdays.some(Boolean)) return true
  return months.some((isNamed, month) => isNamed && days.slice(1, DAYS_OF_MONTH[month - 1]! + 1).some(Boolean))
}

/** The schedule with names and spaces resolved, or an interval for `@every 90s`. Only for schedules without a fault. */
export function compileSchedule(text: string): { schedule: string } | { intervalMs: number } {
  const every = /^@every\s+(\S+)$/.exec(text.trim())
  if (every) return { intervalMs: parseDurationMs(every[1]!) }
  return { schedule: NAMED[text.trim()] ?? asNodeCron(text.trim()) }
}

/** What was expected instead, or null when the schedule is good. */
export function scheduleFault(text: string): string | null {
  const trimmed = text.trim()
  if (Object.hasOwn(NAMED, trimmed)) return null
  if (trimmed.startsWith('@every'))
    return parseDurationMs(trimmed.slice(6).trim()) >= 100 ? null : '"@every" with a duration of at least 100ms'
  const count = trimmed.split(/\s+/).length
  if (count !== 5 && count !== 6) return 'a schedule of 5 fields (or 6, seconds first) such as "*/5 * * * *"'
  const schedule = asNodeCron(trimmed)
  const { fields, errors } = validateDetailed(schedule)
  if (errors.some(({ message }) => message.includes('impossible day'))) return 'a schedule with a day that exists'
  // "L", "15W" and "1#2" are node-cron's own.
  const wrong = FIELDS.find(
    ({ key }) => errors.some(({ field }) => field === key) || fields?.[key].some((value) => typeof value === 'string'),
  )
  if (wrong) return `a schedule whose ${wrong.name} is "*" or within ${wrong.min} to ${wrong.max}`
  if (errors.length > 0) return `a schedule such as "*/5 * * * *" (${errors[0]!.message})`
  return hasSomeDay(parseSchedule(schedule)) ? null : 'a schedule with a day that exists'
}

/** Nuclio's parser also takes "?" for "*", and "5/15" for "from 5 to the end in steps of 15". */
function asNodeCron(text: string): string {
  const given = text.split(/\s+/)
  const fields = FIELDS.slice(FIELDS.length - given.length)
  return given
    .map((field, index) =>
      field
        .split(',')
        .map((part) => part.replace(/^\?/, '*').replace(/^(\d{1,2})\/(\d{1,2})$/, `$1-${fields[index]!.max}/$2`))
        .join(','),
    )
    .join(' ')
}

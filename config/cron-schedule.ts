/** Cron schedules: five fields, or six with seconds in front; and the names that Nuclio's parser knows, such as `@hourly`. */
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
  readonly name: string
  readonly min: number
  readonly max: number
  readonly words?: readonly string[]
}

const FIELDS: readonly Field[] = [
  { name: 'second', min: 0, max: 59 },
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of the month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] },
  { name: 'day of the week', min: 0, max: 7, words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
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

/** Only for schedules that compileSchedule gave. */
export function parseSchedule(schedule: string): ScheduleFields {
  const given = schedule.split(' ')
  const texts = given.length === 5 ? ['0', ...given] : given
  const [seconds, minutes, hours, days, months, weekdays] = texts.map((text, index) => valuesOf(text, FIELDS[index]!)) as [
    boolean[],
    boolean[],
    boolean[],
    boolean[],
    boolean[],
    boolean[],
  ]
  if (weekdays[7]) weekdays[0] = true
  const isAny = (index: number) => /^[*?]/.test(texts[index]!)
  const everyHour = hours.every(Boolean)
  return { seconds, minutes, hours, days, months, weekdays, eitherDay: !isAny(3) && !isAny(5), everyHour }
}

function valuesOf(text: string, field: Field): boolean[] {
  const values = Array.from({ length: field.max + 1 }, () => false)
  for (const part of text.split(',')) {
    const [, from, to, step] = PART.exec(part)!
    const isAny = from === '*' || from === '?'
    const first = isAny ? field.min : numberOf(from!, field)
    // "5/15" is from 5 to the end in steps of 15, as in Nuclio's parser.
    const last = isAny ? field.max : to === undefined ? (step === undefined ? first : field.max) : numberOf(to, field)
    for (let value = first; value <= last; value += Number(step ?? 1)) values[value] = true
  }
  return values
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
  return { schedule: NAMED[text.trim()] ?? text.trim().split(/\s+/).join(' ') }
}

/** What was expected instead, or null when the schedule is good. */
export function scheduleFault(text: string): string | null {
  const trimmed = text.trim()
  if (Object.hasOwn(NAMED, trimmed)) return null
  if (trimmed.startsWith('@every'))
    return parseDurationMs(trimmed.slice(6).trim()) >= 100 ? null : '"@every" with a duration of at least 100ms'
  const given = trimmed.split(/\s+/)
  if (given.length !== 5 && given.length !== 6) return 'a schedule of 5 fields (or 6, seconds first) such as "*/5 * * * *"'
  const fields = FIELDS.slice(6 - given.length)
  const wrong = fields.find((field, index) => !given[index]!.split(',').every((part) => isPart(part, field)))
  if (wrong) return `a schedule whose ${wrong.name} is "*" or within ${wrong.min} to ${wrong.max}`
  return hasSomeDay(parseSchedule(given.join(' '))) ? null : 'a schedule with a day that exists'
}

const PART = /^(\*|\?|[a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?(?:\/(\d{1,2}))?$/i

/** `*`, `5`, `1-5`, `mon-fri`, each with `/step`. */
function isPart(part: string, field: Field): boolean {
  const found = PART.exec(part)
  if (!found) return false
  const [, from, to, step] = found
  if (step !== undefined && Number(step) < 1) return false
  if (from === '*' || from === '?') return to === undefined
  const first = numberOf(from!, field)
  const last = to === undefined ? first : numberOf(to, field)
  return first >= field.min && last <= field.max && first <= last
}

function numberOf(text: string, { min, words }: Field): number {
  if (/^\d/.test(text)) return Number(text)
  const index = words?.indexOf(text.toLowerCase()) ?? -1
  return index < 0 ? Number.NaN : index + min
}

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
  return wrong ? `a schedule whose ${wrong.name} is "*" or within ${wrong.min} to ${wrong.max}` : null
}

/** `*`, `5`, `1-5`, `mon-fri`, each with `/step`. */
function isPart(part: string, field: Field): boolean {
  const found = /^(\*|\?|[a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?(?:\/(\d{1,2}))?$/i.exec(part)
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

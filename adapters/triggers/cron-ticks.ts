/**
 * When a schedule is due, as pure arithmetic. Where the clock of the zone changes:
 * - A schedule of certain hours goes by the time on the wall, once a time. What falls into an hour that is left out is due at
 *   its end, all of it as one; in an hour that comes twice the first one counts.
 * - A schedule of every hour (a minute's pulse, say) goes on by elapsed time: nothing is made up for, nothing is silent for an hour.
 */
import type { ScheduleFields } from '../../config/cron-schedule.ts'
import type { TimeZone } from './time-zone.ts'

const SECOND_MS = 1000
const DAY_SECONDS = 86_400
/** The 29th of February may be eight years away. A schedule that is not due by then never is. */
const HORIZON_MS = 9 * 366 * DAY_SECONDS * SECOND_MS

/** The first due time after `afterMs` (wall clock), or null when there is none within nine years. */
export type NextTick = (afterMs: number) => number | null

export function ticksOf(fields: ScheduleFields, zone: TimeZone): NextTick {
  return (afterMs) => {
    for (let after = afterMs; after < afterMs + HORIZON_MS;) {
      const period = zone.periodAt(after + 1)
      const { startMs, endMs, offsetMs, offsetBeforeMs, offsetAfterMs } = period
      // The time on the wall up to which everything has been due in the period before.
      const repeatedUntil = fields.everyHour ? -Infinity : startMs + offsetBeforeMs - 1
      const from = Math.floor(Math.max(after + offsetMs, repeatedUntil) / SECOND_MS)
      const wallEnd = endMs + (fields.everyHour ? offsetMs : Math.max(offsetMs, offsetAfterMs))
      const wall = nextOnWall(fields, from, Math.ceil(wallEnd / SECOND_MS))
      if (wall !== null) {
        const ms = wall * SECOND_MS - offsetMs
        return Math.min(ms, endMs)
      }
      after = endMs - 1
    }
    return null
  }
}

/** The first due second after `after` and before `end`; seconds since 1970 on the wall. */
function nextOnWall(fields: ScheduleFields, after: number, end: number): number | null {
  const first = after + 1
  for (let day = Math.floor(first / DAY_SECONDS); day * DAY_SECONDS < end; day++) {
    if (!isOnDay(fields, day)) continue
    const second = firstOfDay(fields, Math.max(0, first - day * DAY_SECONDS))
    if (second < 0) continue
    const found = day * DAY_SECONDS + second
    return found < end ? found : null
  }
  return null
}

function isOnDay({ days, months, weekdays, eitherDay }: ScheduleFields, day: number): boolean {
  const date = new Date(day * DAY_SECONDS * SECOND_MS)
  if (!months[date.getUTCMonth() + 1]) return false
  const byMonth = days[date.getUTCDate()]!
  const byWeek = weekdays[date.getUTCDay()]!
  return eitherDay ? byMonth || byWeek : byMonth && byWeek
}

/** The first due second of a day at or after `from`, or -1. */
function firstOfDay({ hours, minutes, seconds }: ScheduleFields, from: number): number {
  let minute = Math.floor(from / 60) % 60
  let second = from % 60
  for (let hour = Math.floor(from / 3600); hour < 24; hour++) {
    if (hours[hour]) {
      for (; minute < 60; minute++) {
        if (minutes[minute]) {
          for (; second < 60; second++) if (seconds[second]) return hour * 3600 + minute * 60 + second
        }
        second = 0
      }
    }
    minute = 0
    second = 0
  }
  return -1
}

/** The last due time before `beforeMs` and after `afterMs`, or null. */
export function previousTick(next: NextTick, afterMs: number, beforeMs: number): number | null {
  const isDueAfter = (ms: number): boolean => {
    const tick = next(ms)
    return tick !== null && tick < beforeMs
  }
  let spanMs = SECOND_MS
  while (beforeMs - spanMs > afterMs && !isDueAfter(beforeMs - spanMs)) spanMs *= 2
  let low = Math.max(afterMs, beforeMs - spanMs)
  if (!isDueAfter(low)) return null
  let high = beforeMs
  while (high - low > SECOND_MS) {
    const middle = low + Math.ceil((high - low) / 2)
    if (isDueAfter(middle)) low = middle
    else high = middle
  }
  let found = next(low)!
  for (let later = next(found); later !== null && later < beforeMs; later = next(later)) found = later
  return found
}

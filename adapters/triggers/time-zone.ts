/** Where the clock of a time zone changes: what Intl knows, found by search, because Intl only answers for one moment at a time. */

/** Between two changes of the clock. Times in milliseconds since 1970; what is added to them gives the time on the wall. */
export interface ZonePeriod {
  readonly startMs: number
  /** The next change, or where the search ended. */
  readonly endMs: number
  readonly offsetMs: number
  /** Of the periods before and after; the same as `offsetMs` when no change lies there. */
  readonly offsetBeforeMs: number
  readonly offsetAfterMs: number
}

const DAY_MS = 86_400_000
const SECOND_MS = 1000
/** A period is looked for this far ahead; one without a change in it is taken to end here. */
const AHEAD_DAYS_MAX = 200
/** No zone ever repeated more than a day. */
const BACK_DAYS = 2
const KEPT_PERIODS_MAX = 4

export class TimeZone {
  readonly name: string
  readonly #format: Intl.DateTimeFormat
  readonly #kept: ZonePeriod[] = []

  /** `name`: an IANA name, or null for the device's own. Throws RangeError for an unknown one. */
  constructor(name: string | null) {
    this.#format = new Intl.DateTimeFormat('en-US', {
      ...(name === null ? {} : { timeZone: name }),
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    })
    this.name = this.#format.resolvedOptions().timeZone
  }

  /** The period that holds this moment. */
  periodAt(ms: number): ZonePeriod {
    const found = this.#kept.find(({ startMs, endMs }) => startMs <= ms && ms < endMs)
    if (found) return found
    const period = this.#findPeriod(ms)
    this.#kept.unshift(period)
    if (this.#kept.length > KEPT_PERIODS_MAX) this.#kept.pop()
    return period
  }

  #findPeriod(ms: number): ZonePeriod {
    const offsetMs = this.#offsetAt(ms)
    let startMs = ms - BACK_DAYS * DAY_MS
    let offsetBeforeMs = offsetMs
    for (let back = 1; back <= BACK_DAYS && offsetBeforeMs === offsetMs; back++) {
      offsetBeforeMs = this.#offsetAt(ms - back * DAY_MS)
      if (offsetBeforeMs !== offsetMs) startMs = this.#changeBetween(ms - back * DAY_MS, ms - (back - 1) * DAY_MS)
    }
    let endMs = ms
    let offsetAfterMs = offsetMs
    for (let ahead = 1; ahead <= AHEAD_DAYS_MAX && offsetAfterMs === offsetMs; ahead++) {
      offsetAfterMs = this.#offsetAt(ms + ahead * DAY_MS)
      endMs = offsetAfterMs === offsetMs ? ms + ahead * DAY_MS : this.#changeBetween(ms + (ahead - 1) * DAY_MS, ms + ahead * DAY_MS)
    }
    return { startMs, endMs, offsetMs, offsetBeforeMs, offsetAfterMs: this.#offsetAt(endMs) }
  }

  /** The first second with another offset than `fromMs` has; `toMs` has one. */
  #changeBetween(fromMs: number, toMs: number): number {
    const offset = this.#offsetAt(fromMs)
    let low = Math.floor(fromMs / SECOND_MS)
    let high = Math.floor(toMs / SECOND_MS)
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.#offsetAt(middle * SECOND_MS) === offset) low = middle
      else high = middle
    }
    return high * SECOND_MS
  }

  #offsetAt(ms: number): number {
    const [month, day, year, hour, minute, second] = this.#format.format(ms).match(/\d+/g)!.map(Number) as [
      number,
      number,
      number,
      number,
      number,
      number,
    ]
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / SECOND_MS) * SECOND_MS
  }
}

import type { CatchUp } from '../../config/triggers/cron.ts'
import type { CronClock } from './cron-clock.ts'
import type { Tick } from './cron-schedule-run.ts'

/** The longest that a timer can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1

export interface IntervalRunOptions {
  readonly everyMs: number
  readonly clock: CronClock
  readonly catchUp: CatchUp
  readonly catchUpMax: number
  readonly fire: (tick: Tick) => void
}

/**
 * Ticks at start + n * ms by the monotonic clock: a late tick does not make the next ones late, a step of the wall clock does
 * nothing, and what was missed while the machine slept is not made up for. With a catch-up policy a restart goes on where the
 * last run left off: an interval of a day is kept by a device that is restarted each morning.
 */
export class IntervalRun {
  readonly #options: IntervalRunOptions
  #startMs = 0
  #cancel: () => void = () => {}

  constructor(options: IntervalRunOptions) {
    this.#options = options
  }

  /** `lastMs`: wall-clock time of the run before a restart. */
  start(lastMs: number | undefined): void {
    const { everyMs, clock, catchUp } = this.#options
    this.#startMs = clock.monotonicMs()
    const sinceMs = lastMs === undefined ? -1 : clock.now() - lastMs
    if (catchUp !== 'none' && sinceMs >= 0) {
      this.#startMs -= sinceMs % everyMs
      this.#makeUp(Math.floor(sinceMs / everyMs), lastMs!)
    }
    this.#arm()
  }

  stop(): void {
    this.#cancel()
  }

  #makeUp(missed: number, lastMs: number): void {
    const { everyMs, catchUp, catchUpMax, fire } = this.#options
    const count = Math.min(missed, catchUp === 'all' ? catchUpMax : 1)
    for (let n = missed - count + 1; n <= missed; n++) fire({ scheduledMs: lastMs + n * everyMs, isCatchUp: true })
  }

  #arm(): void {
    const { everyMs, clock, fire } = this.#options
    const sinceMs = clock.monotonicMs() - this.#startMs
    const dueMs = (Math.floor(sinceMs / everyMs + 0.001) + 1) * everyMs
    const waitMs = dueMs - sinceMs
    this.#cancel = clock.after(Math.max(1, Math.min(waitMs, TIMER_MS_MAX)), () => {
      const lateMs = clock.monotonicMs() - this.#startMs - dueMs
      if (waitMs <= TIMER_MS_MAX) fire({ scheduledMs: clock.now() - Math.max(0, Math.floor(lateMs)), isCatchUp: false })
      this.#arm()
    })
  }
}

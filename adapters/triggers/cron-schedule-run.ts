import type { CatchUp } from '../../config/triggers/cron.ts'
import { BUILD_FLOOR_MS } from '../../runtime/base/clock.ts'
import type { CronClock } from './cron-clock.ts'
import { previousTick, type NextTick } from './cron-ticks.ts'

/** A step of the wall clock is noticed within this time. */
const LOOK_AGAIN_MS = 10_000
/** A tick that is found later than this was missed: the machine slept, was down, or its clock was set forward. */
const ON_TIME_MS = 20_000
/** A clock that is set back further than this was wrong before: what was due by it counts no more. Vixie cron's limit. */
export const SET_BACK_MAX_MS = 3 * 3_600_000
/** Missed ticks are counted up to here. */
const MISSED_COUNT_MAX = 1_000
/** How long a tick that was not taken (disk full) waits. */
export const RETRY_MS = 2_000

export interface ScheduleRunOptions {
  readonly next: NextTick
  readonly clock: CronClock
  readonly catchUp: CatchUp
  /** Missed ticks that `catchUp: all` makes up for, the newest. */
  readonly catchUpMax: number
  readonly fire: (tick: Tick) => void
  /** `missed`: ticks that were not on time, at least; `made`: those of them that are fired now. */
  readonly onMissed: (missed: number, made: number) => void
  readonly onSetBack: (byMs: number) => void
}

export interface Tick {
  readonly scheduledMs: number
  readonly isCatchUp: boolean
}

/**
 * Fires the ticks of a schedule, each once, whatever happens to the clock. `#doneMs` is the wall-clock time up to which all is
 * done; it goes back only when the clock was set back by more than SET_BACK_MAX_MS. Two modes: the clock is set, or it is not (a
 * board without a battery boots in 1970). An unset clock is good for a pulse, but what it says was missed, or done, counts for
 * nothing once it is set: then the schedule goes on from where it was before.
 */
export class ScheduleRun {
  readonly #options: ScheduleRunOptions
  #doneMs = 0
  #isUnset = false
  #doneBeforeUnsetMs: number | undefined
  #cancel: () => void = () => {}
  #isStopped = true

  constructor(options: ScheduleRunOptions) {
    this.#options = options
  }

  /** `lastMs`: the tick that was fired last, before a restart; undefined: never. */
  start(lastMs: number | undefined): void {
    this.#isStopped = false
    this.#doneMs = lastMs ?? this.#options.clock.now()
    this.#look()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  /** The tick was not taken: with a catch-up policy it counts as missed, and is looked at again soon. */
  notTaken(scheduledMs: number): void {
    if (this.#options.catchUp === 'none' || this.#isStopped) return
    this.#doneMs = Math.min(this.#doneMs, scheduledMs - 1)
    this.#cancel()
    this.#cancel = this.#options.clock.after(RETRY_MS, this.#look)
  }

  readonly #look = (): void => {
    const { clock, next, fire, onMissed, onSetBack } = this.#options
    const now = clock.now()
    this.#setMode(now)
    if (this.#doneMs - now > SET_BACK_MAX_MS) {
      if (!this.#isUnset) onSetBack(this.#doneMs - now)
      this.#doneMs = now
    }
    const { ticks, missed } = dueTicks(this.#options, this.#doneMs, now)
    this.#doneMs = Math.max(this.#doneMs, now)
    const tick = next(this.#doneMs)
    this.#cancel = clock.after(Math.max(1, Math.min(LOOK_AGAIN_MS, (tick ?? Infinity) - now)), this.#look)
    if (missed > 0) onMissed(missed, ticks.filter(({ isCatchUp }) => isCatchUp).length)
    for (const due of ticks) fire(due)
  }

  #setMode(now: number): void {
    const isUnset = now < BUILD_FLOOR_MS
    if (isUnset === this.#isUnset) return
    this.#isUnset = isUnset
    if (isUnset) this.#doneBeforeUnsetMs = this.#doneMs > now ? this.#doneMs : undefined
    this.#doneMs = isUnset ? now : (this.#doneBeforeUnsetMs ?? now)
  }
}

/** What is to be fired of the ticks in (doneMs, now], oldest first. A tick on time is fired under any policy. */
export function dueTicks(
  { next, catchUp, catchUpMax }: Pick<ScheduleRunOptions, 'next' | 'catchUp' | 'catchUpMax'>,
  doneMs: number,
  now: number,
): { ticks: Tick[]; missed: number } {
  const first = next(doneMs)
  if (first === null || first > now) return { ticks: [], missed: 0 }
  const newest = previousTick(next, doneMs, now + 1)!
  const isOnTime = now - newest <= ON_TIME_MS
  const onTime: Tick[] = isOnTime ? [{ scheduledMs: newest, isCatchUp: false }] : []
  const missedBefore = isOnTime ? newest : newest + 1
  const missed = countTicks(next, doneMs, missedBefore)
  const wanted = catchUp === 'all' ? catchUpMax : catchUp === 'last' && !isOnTime ? 1 : 0
  const late: Tick[] = []
  for (let before = missedBefore; late.length < wanted;) {
    const tick = previousTick(next, doneMs, before)
    if (tick === null) break
    late.push({ scheduledMs: tick, isCatchUp: true })
    before = tick
  }
  return { ticks: [...late.toReversed(), ...onTime], missed }
}

function countTicks(next: NextTick, afterMs: number, beforeMs: number): number {
  let count = 0
  for (let tick = next(afterMs); tick !== null && tick < beforeMs && count < MISSED_COUNT_MAX; tick = next(tick)) count++
  return count
}

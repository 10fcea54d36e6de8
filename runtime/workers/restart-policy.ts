/** When a worker that ended is started again, and when its ending is a crash loop. Decisions only; WorkerSlot acts on them. */
import { ceilingMs } from '../base/backoff.ts'

/** The first restart is at once; waits double from `firstMs` to `maxMs`. */
export const RESTART = { firstMs: 100, maxMs: 60_000 }

/** The same in a crash loop, when no event is to blame: starting a worker costs a small device a good part of its processor. */
export const LOOP_RESTART = { firstMs: 10_000, maxMs: 300_000 }

export interface CrashLoopRule {
  /** So many ends ... */
  readonly ends: number
  /** ... within this time are a crash loop; ... */
  readonly windowMs: number
  /** ... or within so many times what a start takes, when that is longer: a slow starter cannot end as often. */
  readonly startTimes: number
}

export const CRASH_LOOP: CrashLoopRule = { ends: 3, windowMs: 60_000, startTimes: 10 }

interface End {
  readonly atMs: number
  /** No event was running: the worker itself is to blame. */
  readonly isOwnFault: boolean
}

/** What is remembered of the workers that stood in one slot. */
export interface SlotHistory {
  readonly ends: readonly End[]
  /** Ends since something was answered; the wait before the next start goes by it. */
  readonly failures: number
  readonly isCrashLoop: boolean
  /** Ends since it is one. */
  readonly loopEnds: number
}

export const NO_HISTORY: SlotHistory = { ends: [], failures: 0, isCrashLoop: false, loopEnds: 0 }

export function crashWindowMs(startMs: number, { windowMs, startTimes }: CrashLoopRule = CRASH_LOOP): number {
  return Math.max(windowMs, startTimes * startMs)
}

export interface WorkerEnd extends End {
  /** How long its start took (or lasted, when it did not become ready). */
  readonly startMs: number
  /** How long it has served. */
  readonly servedMs: number
}

/**
 * A worker ended. Ends by its own fault count until the window has passed; ends while an event ran count until a worker of this slot
 * answers something, because one event that kills its worker is not a crash loop: it goes to the dead letters.
 */
export function afterEnd(before: SlotHistory, end: WorkerEnd, rule: CrashLoopRule = CRASH_LOOP): { history: SlotHistory; waitMs: number } {
  const windowMs = crashWindowMs(end.startMs, rule)
  const known = end.servedMs >= windowMs ? NO_HISTORY : before
  const { atMs, isOwnFault } = end
  const ends = [...known.ends.filter((earlier) => earlier.atMs > atMs - windowMs), { atMs, isOwnFault }].slice(-rule.ends)
  const isCrashLoop = known.isCrashLoop || ends.length >= rule.ends
  const loopEnds = isCrashLoop ? known.loopEnds + 1 : 0
  const usualMs = known.failures === 0 ? 0 : ceilingMs(known.failures, RESTART)
  const waitMs = isCrashLoop && isOwnFault ? ceilingMs(loopEnds, LOOP_RESTART) : usualMs
  return { history: { ends, failures: known.failures + 1, isCrashLoop, loopEnds }, waitMs }
}

/** Something was answered. In a crash loop that means nothing: the loop is over when a worker serves for a whole window. */
export function afterAnswer(before: SlotHistory): SlotHistory {
  if (before.isCrashLoop) return before
  return { ...NO_HISTORY, ends: before.ends.filter(({ isOwnFault }) => isOwnFault) }
}

/** Whether `afterAnswer` would change anything. */
export function answerMatters({ failures, isCrashLoop }: SlotHistory): boolean {
  return failures > 0 && !isCrashLoop
}

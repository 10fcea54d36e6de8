/** The clocks that schedules go by, and a timer: what a test puts its own in place of. */
export interface CronClock {
  /** Wall clock, milliseconds since 1970. It may be set forward and back at any time. */
  now(): number
  /** Only ever goes forward. */
  monotonicMs(): number
  /** Calls once after `ms`; returns what calls it off. */
  after(ms: number, act: () => void): () => void
}

export const realClock: CronClock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after: (ms, act) => {
    const timer = setTimeout(act, ms)
    return () => clearTimeout(timer)
  },
}

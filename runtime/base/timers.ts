/** Time that passes, and what happens in it; a test gives its own. */
export interface Timers {
  /** Milliseconds on the monotonic clock. */
  now(): number
  set(act: () => void, ms: number): NodeJS.Timeout
  clear(timer: NodeJS.Timeout | undefined): void
}

export const realTimers: Timers = {
  now: () => performance.now(),
  set: (act, ms) => setTimeout(act, ms),
  clear: (timer) => clearTimeout(timer),
}

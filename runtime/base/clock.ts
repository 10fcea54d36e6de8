import type { ClockQuality } from '../event/record.ts'

/** Below this the wall clock was never set: Dunlin did not exist yet. */
export const BUILD_FLOOR_MS = Date.UTC(2026, 0, 1)
/** Hub and device agree on the time when they differ by less than this. */
const AGREEMENT_MS = 5_000

/**
 * The device's clocks. Order and time-outs go by the monotonic clock; wall-clock times carry a quality, because boards without
 * a battery start in 1970.
 */
export class Clock {
  #floorMs = BUILD_FLOOR_MS
  #agreedWithHub = false

  /** Microseconds since 1970, never below the floor (the build, or the last time the hub told). */
  nowUs(): number {
    const now = Date.now()
    return (now < this.#floorMs ? this.#floorMs : now) * 1000
  }

  /** Nanoseconds since this process started. */
  monotonicNs(): number {
    return Math.floor(performance.now() * 1e6)
  }

  get quality(): ClockQuality {
    if (Date.now() < this.#floorMs) return 'unset'
    return this.#agreedWithHub ? 'synced' : 'floor'
  }

  /** What the hub said the time is (authenticated by its certificate). */
  hubSaid(timeMs: number): void {
    this.#agreedWithHub = Math.abs(Date.now() - timeMs) < AGREEMENT_MS
    if (timeMs > this.#floorMs && this.#agreedWithHub) this.#floorMs = timeMs
  }
}

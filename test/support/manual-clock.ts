import type { CronClock } from '../../adapters/triggers/cron-clock.ts'

/** A clock that stands until a test moves it; timers come in their order while it moves. The wall clock can be set by itself. */
export class ManualClock implements CronClock {
  #wallMs: number
  #monotonicMs = 0
  #timers: { readonly atMs: number; readonly act: () => void }[] = []

  constructor(wallMs: number) {
    this.#wallMs = wallMs
  }

  now(): number {
    return this.#wallMs
  }

  monotonicMs(): number {
    return this.#monotonicMs
  }

  after(ms: number, act: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + ms, act }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  get timers(): number {
    return this.#timers.length
  }

  /** Time goes by. */
  advance(ms: number): void {
    const endMs = this.#monotonicMs + ms
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0]
      if (!next || next.atMs > endMs) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#move(Math.max(0, next.atMs - this.#monotonicMs))
      next.act()
    }
    this.#move(endMs - this.#monotonicMs)
  }

  /** Somebody sets the wall clock. */
  step(ms: number): void {
    this.#wallMs += ms
  }

  /** The machine sleeps: time goes by, and timers do not. */
  suspend(ms: number): void {
    this.#wallMs += ms
  }

  #move(ms: number): void {
    this.#wallMs += ms
    this.#monotonicMs += ms
  }
}

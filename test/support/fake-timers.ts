import type { Timers } from '../../runtime/base/timers.ts'

/** Time that passes only when a test says so; what is due happens in its order. */
export class FakeTimers implements Timers {
  #nowMs = 1_000
  readonly #armed = new Map<object, { readonly act: () => void; readonly atMs: number }>()

  get armed(): number {
    return this.#armed.size
  }

  now(): number {
    return this.#nowMs
  }

  set(act: () => void, ms: number): NodeJS.Timeout {
    const timer = {}
    this.#armed.set(timer, { act, atMs: this.#nowMs + ms })
    return timer as NodeJS.Timeout
  }

  clear(timer: NodeJS.Timeout | undefined): void {
    if (timer) this.#armed.delete(timer)
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const [next] = [...this.#armed].filter(([, { atMs }]) => atMs <= endMs).toSorted(([, a], [, b]) => a.atMs - b.atMs)
      if (!next) break
      this.#armed.delete(next[0])
      this.#nowMs = next[1].atMs
      next[1].act()
    }
    this.#nowMs = endMs
  }
}

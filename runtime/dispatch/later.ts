/** Things to do after a while, unless it is closed before. */
export class Later {
  readonly #timers = new Set<NodeJS.Timeout>()
  #isClosed = false

  after(ms: number, act: () => void): void {
    if (this.#isClosed) return
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      act()
    }, ms)
    this.#timers.add(timer)
  }

  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}

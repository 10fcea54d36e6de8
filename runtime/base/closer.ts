/** Closes what was opened, in reverse order, and keeps the first error. Push a closer the moment something opens. */
export class Closer {
  #closers: Array<() => unknown> = []
  #closing: Promise<void> | undefined

  push(close: () => unknown): void {
    this.#closers.push(close)
  }

  /** Idempotent. Every closer runs, also after one has failed. */
  close(): Promise<void> {
    this.#closing ??= this.#run()
    return this.#closing
  }

  async #run(): Promise<void> {
    let failed = false
    let first: unknown
    while (this.#closers.length > 0) {
      try {
        await this.#closers.pop()!()
      } catch (error) {
        if (!failed) first = error
        failed = true
      }
    }
    if (failed) throw first
  }
}

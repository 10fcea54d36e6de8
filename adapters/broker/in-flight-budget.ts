/** Bytes handed to the ingest and not yet confirmed, over all clients. When they are too many, clients are not read from. */
export class InFlightBudget {
  readonly #bytesMax: number
  readonly #waiting = new Set<() => void>()
  #bytes = 0
  #messages = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get isFull(): boolean {
    return this.#bytes >= this.#bytesMax
  }

  get messages(): number {
    return this.#messages
  }

  take(bytes: number): void {
    this.#bytes += bytes
    this.#messages++
  }

  give(bytes: number): void {
    this.#bytes -= bytes
    this.#messages--
    if (this.#waiting.size === 0 || this.#bytes > this.#bytesMax / 2) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }

  /** Calls `wake` once there is room again. */
  onRoom(wake: () => void): void {
    this.#waiting.add(wake)
  }

  /** The waiting one is gone. */
  cancel(wake: () => void): void {
    this.#waiting.delete(wake)
  }
}

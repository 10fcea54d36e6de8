/**
 * The state as the events of this worker see it: an event's own changes first, then what is known to be committed. The latter is kept
 * only where no other worker changes it (INIT's stateExclusive), and within a limit; it is forgotten whenever an outcome may not have
 * been committed.
 */
const ENTRIES_MAX = 4096
const BYTES_MAX = 4 << 20

/** A stored value, form byte included; null: there is none. */
type Value = Buffer | null

export class StateView {
  readonly #isExclusive: boolean
  readonly #committed = new Map<string, Value>()
  #bytes = 0
  readonly #own = new Map<number, Map<string, Value>>()

  constructor(isExclusive: boolean) {
    this.#isExclusive = isExclusive
  }

  /** undefined: the agent must be asked. */
  get(ticket: number, key: string): Value | undefined {
    const own = this.#own.get(ticket)?.get(key)
    return own !== undefined ? own : this.#committed.get(key)
  }

  /** What the agent said. */
  learn(key: string, value: Value): void {
    if (!this.#isExclusive) return
    this.#bytes += (value?.length ?? 0) - (this.#committed.get(key)?.length ?? 0)
    this.#committed.set(key, value)
    if (this.#committed.size > ENTRIES_MAX || this.#bytes > BYTES_MAX) this.forget()
  }

  change(ticket: number, key: string, value: Value): void {
    const own = this.#own.get(ticket)
    if (own) own.set(key, value)
    else this.#own.set(ticket, new Map([[key, value]]))
  }

  /** The event is answered. `isCommitted`: its changes are the state now. */
  end(ticket: number, isCommitted: boolean): void {
    const own = this.#own.get(ticket)
    if (!own) return
    this.#own.delete(ticket)
    if (isCommitted) for (const [key, value] of own) this.learn(key, value)
  }

  forget(): void {
    this.#committed.clear()
    this.#bytes = 0
  }
}

import type { Store } from '../store/store.ts'

const ENTRIES_MAX = 10_000
const BYTES_MAX = 16 * 1024 * 1024

/**
 * What `context.state.get` sees: committed state, and the changes of steps that are on their way to the store. Bounded; what was
 * pushed out is read from the store again, after a flush so that no change is missed.
 */
export class StateCache {
  readonly #store: Store
  readonly #fn: number
  /** null: known not to exist. */
  readonly #values = new Map<string, Uint8Array | null>()
  #bytes = 0

  constructor(store: Store, fn: number) {
    this.#store = store
    this.#fn = fn
  }

  get fn(): number {
    return this.#fn
  }

  get(key: string, answer: (value: Uint8Array | undefined) => void): void {
    const known = this.#values.get(key)
    if (known !== undefined) return answer(known ?? undefined)
    this.#load(key).then(answer, () => answer(undefined))
  }

  put(key: string, value: Uint8Array | null): void {
    const before = this.#values.get(key)
    this.#bytes += (value?.length ?? 0) - (before?.length ?? 0)
    this.#values.delete(key)
    this.#values.set(key, value)
    while (this.#values.size > ENTRIES_MAX || (this.#bytes > BYTES_MAX && this.#values.size > 1)) {
      const [oldest, bytes] = this.#values.entries().next().value!
      this.#values.delete(oldest)
      this.#bytes -= bytes?.length ?? 0
    }
  }

  async #load(key: string): Promise<Uint8Array | undefined> {
    await this.#store.flush()
    const value = await this.#store.getState(this.#fn, key)
    // A step may have changed it meanwhile; what is in the cache is newer than what was read.
    const newer = this.#values.get(key)
    if (newer !== undefined) return newer ?? undefined
    this.put(key, value ?? null)
    return value
  }
}

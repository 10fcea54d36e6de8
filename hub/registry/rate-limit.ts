import { ResourceError } from '../../runtime/base/errors.ts'

const ADDRESSES_MAX = 10_000

interface Window {
  failures: number
  endsMs: number
}

/** Counts failures per address; after `max` in `windowMs` an address has to wait. Successes cost nothing. */
export class FailureLimit {
  readonly #windows = new Map<string, Window>()
  readonly #max: number
  readonly #windowMs: number
  readonly #now: () => number

  constructor(options: { max: number; windowMs: number; now?: () => number }) {
    this.#max = options.max
    this.#windowMs = options.windowMs
    this.#now = options.now ?? (() => performance.now())
  }

  /** Throws ResourceError 'too-many-failures' while the address has to wait. */
  check(address: string): void {
    const window = this.#windows.get(address)
    if (!window) return
    const waitMs = window.endsMs - this.#now()
    if (waitMs <= 0) this.#windows.delete(address)
    else if (window.failures >= this.#max) {
      throw new ResourceError('too-many-failures', `Cannot try again before ${Math.ceil(waitMs / 1000)} s have passed`, { retryable: true })
    }
  }

  failed(address: string): void {
    const window = this.#windows.get(address)
    if (window && window.endsMs > this.#now()) window.failures++
    else {
      // Oldest first: a flood of addresses forgets the flood, not the memory.
      if (this.#windows.size >= ADDRESSES_MAX) this.#windows.delete(this.#windows.keys().next().value!)
      this.#windows.set(address, { failures: 1, endsMs: this.#now() + this.#windowMs })
    }
  }
}

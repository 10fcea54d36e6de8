/** Workers that end come in groups: a crash loop, a deployment. */
const WAIT_MS = 500
/** Going through all heaps takes milliseconds, of a helper thread. */
const EVERY_MS = 5_000

/**
 * Gives memory that was freed back to the system. glibc keeps it in the heaps of threads that are gone: after some handlers that
 * leaked, the agent held 100 MiB that nobody used. Where the C library has no malloc_trim (musl), nothing is done.
 */
class ReturnedMemory {
  #trim: Promise<Trim> | undefined
  #isAsked = false
  #lastMs = -Infinity

  /** Called when something that used memory of this process has ended. */
  soon(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    setTimeout(() => void this.#now(), Math.max(WAIT_MS, this.#lastMs + EVERY_MS - performance.now())).unref()
  }

  async #now(): Promise<void> {
    this.#isAsked = false
    this.#lastMs = performance.now()
    this.#trim ??= loadTrim()
    const trim = await this.#trim
    await trim()
  }
}

type Trim = () => Promise<void>

export const returnedMemory = new ReturnedMemory()

async function loadTrim(): Promise<Trim> {
  const { default: koffi } = await import('koffi')
  try {
    const trim = koffi.load(null).func('int malloc_trim(size_t)')
    return () => new Promise((resolve) => trim.async(0, () => resolve()))
  } catch {
    return async () => {}
  }
}

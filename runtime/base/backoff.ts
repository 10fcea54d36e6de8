/** Waiting times. Full jitter: a fleet that lost its hub must not come back in step. */
export interface BackoffOptions {
  readonly firstMs: number
  readonly maxMs: number
}

/** The longest wait before try `attempt` (1 = after the first failure). */
export function ceilingMs(attempt: number, { firstMs, maxMs }: BackoffOptions): number {
  return Math.min(maxMs, firstMs * 2 ** Math.min(30, Math.max(0, attempt - 1)))
}

/** A wait drawn evenly from [0, ceiling). `random` is injected so that tests and simulations repeat. */
export function fullJitterMs(attempt: number, options: BackoffOptions, random: () => number = Math.random): number {
  return Math.floor(random() * ceilingMs(attempt, options))
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal!.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

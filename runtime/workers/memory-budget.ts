import { totalmem } from 'node:os'
import { FunctionError } from '../base/errors.ts'

const MiB = 1024 * 1024
/** Without `resources.limits.memory`: this much for each worker there may be, and never more than half of the machine. */
export const MEMORY_PER_WORKER_BYTES = 256 * MiB
/** The fastest growth that is reckoned with: a core that fills fresh pages. Decides when to look again. */
const GROWTH_BYTES_PER_MS = 1 * MiB
const LOOK_AGAIN_MS = { min: 2, max: 250 }
/** A thread that does not tell its memory (it is blocked) is waited for so long; then what it said last counts. */
const ANSWER_MS_MAX = 100

export function defaultLimitBytes(workersMax: number, machineBytes = totalmem()): number {
  return Math.min(workersMax * MEMORY_PER_WORKER_BYTES, machineBytes / 2)
}

/** The nearer the limit, the sooner: nothing grows past it by more than it can between two looks. */
export function lookAgainMs(leftBytes: number): number {
  return Math.min(LOOK_AGAIN_MS.max, Math.max(LOOK_AGAIN_MS.min, Math.floor(leftBytes / GROWTH_BYTES_PER_MS)))
}

export interface Measured {
  memoryBytes(): number | Promise<number>
  /** Ends it at once; its events are tried again. */
  end(cause: Error): void
}

interface Seen {
  bytes: number
  isAsked: boolean
}

/**
 * The memory of all workers of one function version together. It looks at them by a timer, and when they are over the limit it
 * ends the largest. Nothing runs while there are no workers.
 */
export class MemoryBudget {
  readonly limitBytes: number
  readonly #workers = new Map<Measured, Seen>()
  #timer: NodeJS.Timeout | undefined
  #isLooking = false
  #peakBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get usedBytes(): number {
    let sum = 0
    for (const { bytes } of this.#workers.values()) sum += bytes
    return sum
  }

  /** The most that was seen. */
  get peakBytes(): number {
    return this.#peakBytes
  }

  /** One more worker, as large as the largest, stays within the limit. */
  get hasRoom(): boolean {
    let largest = 0
    for (const { bytes } of this.#workers.values()) largest = Math.max(largest, bytes)
    return this.usedBytes + largest <= this.limitBytes
  }

  add(worker: Measured): void {
    this.#workers.set(worker, { bytes: 0, isAsked: false })
    if (!this.#isLooking) this.#timer ??= setTimeout(this.#look, LOOK_AGAIN_MS.min)
  }

  remove(worker: Measured): void {
    this.#workers.delete(worker)
    if (this.#workers.size > 0) return
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  readonly #look = async (): Promise<void> => {
    this.#timer = undefined
    this.#isLooking = true
    await this.#measure()
    this.#isLooking = false
    const { usedBytes } = this
    this.#peakBytes = Math.max(this.#peakBytes, usedBytes)
    if (usedBytes > this.limitBytes) this.#endLargest(usedBytes)
    if (this.#workers.size > 0) this.#timer ??= setTimeout(this.#look, lookAgainMs(this.limitBytes - this.usedBytes))
  }

  async #measure(): Promise<void> {
    const asked: Promise<void>[] = []
    for (const [worker, seen] of this.#workers) {
      if (seen.isAsked) continue
      const bytes = worker.memoryBytes()
      if (typeof bytes === 'number') seen.bytes = bytes
      else asked.push(answerInto(seen, bytes))
    }
    if (asked.length === 0) return
    const late = Promise.withResolvers<void>()
    const timer = setTimeout(late.resolve, ANSWER_MS_MAX)
    await Promise.race([Promise.all(asked), late.promise])
    clearTimeout(timer)
  }

  #endLargest(usedBytes: number): void {
    let largest: Measured | undefined
    let most = -1
    for (const [worker, { bytes }] of this.#workers) if (bytes > most) [largest, most] = [worker, bytes]
    if (!largest) return
    this.#workers.delete(largest)
    const share = most === usedBytes ? '' : `, and all workers together ${mib(usedBytes)}`
    largest.end(
      new FunctionError('memory-limit', `Worker used ${mib(most)} of memory${share}: more than the ${mib(this.limitBytes)} there are`, {
        hint: 'give the function more with spec.resources.limits.memory',
      }),
    )
  }
}

async function answerInto(seen: Seen, answer: Promise<number>): Promise<void> {
  seen.isAsked = true
  try {
    seen.bytes = await answer
  } catch {
    // The thread has ended: onExit tells.
  }
  seen.isAsked = false
}

function mib(bytes: number): string {
  return `${(bytes / MiB).toFixed(bytes < 10 * MiB ? 1 : 0)} MiB`
}

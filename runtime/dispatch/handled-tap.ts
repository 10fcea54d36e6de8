import type { Delivery } from './delivery.ts'

/** Of one recording. */
export const RECORDED_EVENTS_MAX = 1_000
const RECORDED_BYTES_MAX = 16 * 1024 * 1024

/** An event that was handled, and what came of it. Records as docs/record.md has them. */
export interface HandledEvent {
  readonly trigger: string
  readonly event: Buffer
  /** RESULT */
  readonly result: Buffer
  /** EMIT, PUBLISH, STATE_SET and STATE_DELETE in their order. */
  readonly operations: readonly Buffer[]
}

interface Recording {
  readonly functionName: string
  readonly count: number
  readonly events: HandledEvent[]
  bytes: number
  readonly full: () => void
}

/** Somebody who looks at what functions handle. Costs the event path one test while nobody looks. */
export class HandledTap {
  readonly #recordings = new Set<Recording>()
  isOpen = false

  /** The next `count` events that the function handles; fewer when `signal` ends it or they are too large. */
  async record(functionName: string, count: number, signal: AbortSignal): Promise<readonly HandledEvent[]> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const recording: Recording = { functionName, count: Math.min(count, RECORDED_EVENTS_MAX), events: [], bytes: 0, full: resolve }
    this.#recordings.add(recording)
    this.isOpen = true
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
    await promise
    this.#recordings.delete(recording)
    this.isOpen = this.#recordings.size > 0
    return recording.events
  }

  /** After the commit. */
  take(functionName: string, trigger: string, delivery: Delivery, result: Buffer): void {
    for (const recording of this.#recordings) {
      if (recording.functionName !== functionName || recording.events.length >= recording.count) continue
      recording.events.push({ trigger, event: delivery.record, result, operations: [...delivery.operations] })
      recording.bytes += delivery.operations.reduce((sum, { length }) => sum + length, delivery.record.length + result.length)
      if (recording.events.length === recording.count || recording.bytes > RECORDED_BYTES_MAX) recording.full()
    }
  }
}

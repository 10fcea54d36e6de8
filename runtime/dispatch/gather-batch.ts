import type { BatchConfig } from '../../config/function-config.ts'
import type { Delivery } from './delivery.ts'
import type { KeyLanes } from './key-lanes.ts'

export interface Gathered {
  readonly batch: readonly Delivery[]
  /** Milliseconds until it is to be given; 0: now. While it waits, its events are back in the lanes. */
  readonly waitMs: number
}

/**
 * Takes the next batch out of the lanes: full, or old enough. An event that failed before, or whose batch did, is a batch of its own,
 * so that it takes no other down with it; what comes before such a one waits no longer for others.
 */
export function gatherBatch(lanes: KeyLanes, { size, timeoutMs }: BatchConfig, nowMs: number): Gathered {
  const batch: Delivery[] = []
  let isDue = false
  let oldestMs = nowMs
  while (batch.length < size) {
    const delivery = lanes.take()
    if (!delivery) break
    if (mustBeAlone(delivery)) {
      isDue = true
      if (batch.length === 0) batch.push(delivery)
      else lanes.untake(delivery)
      break
    }
    oldestMs = Math.min(oldestMs, delivery.sinceMs)
    batch.push(delivery)
  }
  const waitMs = isDue || batch.length === 0 || batch.length === size ? 0 : Math.max(0, oldestMs + timeoutMs - nowMs)
  if (waitMs > 0) putBackAll(lanes, batch)
  return { batch, waitMs }
}

/** In the order they had. */
export function putBackAll(lanes: KeyLanes, batch: readonly Delivery[]): void {
  for (let i = batch.length - 1; i >= 0; i--) lanes.untake(batch[i]!)
}

function mustBeAlone({ isAlone, isSuspect, failures }: Delivery): boolean {
  return isAlone || isSuspect || failures > 0
}

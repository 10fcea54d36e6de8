/** When a pool of `min` to `max` workers grows or shrinks. Decisions only; PoolScaler acts on them. */

/** All workers must have been busy, and events waiting, for so long: a burst that is over by then needs no worker. */
export const GROW_AFTER_MS = 100

export interface PoolView {
  readonly min: number
  readonly max: number
  readonly serving: number
  /** Starting, or ended and to be started again. */
  readonly coming: number
  /** For how long every serving worker has been at its capacity while events wait. */
  readonly pressedForMs: number
  /** How long the worker that could go has had nothing to do; 0: none could. */
  readonly idleForMs: number
  readonly idleTimeoutMs: number
  /** One more worker as large as the largest stays within the memory budget. */
  readonly hasMemory: boolean
}

export type SizeStep = 'grow' | 'shrink' | 'keep'

export function sizeStep(view: PoolView): SizeStep {
  const { min, max, serving, coming } = view
  const there = serving + coming
  // One at a time: the start itself costs what the busy ones need.
  if (there < max && coming === 0 && view.pressedForMs >= GROW_AFTER_MS && view.hasMemory) return 'grow'
  if (there > min && view.idleForMs >= view.idleTimeoutMs && view.idleForMs > 0) return 'shrink'
  return 'keep'
}

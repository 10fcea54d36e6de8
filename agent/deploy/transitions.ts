/**
 * The life of one deployment (one function, one version). docs/deployment.md shows the same table with what each state does.
 * A state is on disk before its work begins; after a restart the next state follows from what is found on disk.
 */
import type { DeploymentState } from '../../config/wire.ts'

export type Outcome = 'done' | 'failed'
export type FinalState = 'committed' | 'rolledback'
export type WorkingState = Exclude<DeploymentState, FinalState>

export const TRANSITIONS: { readonly [State in WorkingState]: { readonly [O in Outcome]: DeploymentState } } = {
  fetching: { done: 'verifying', failed: 'rolledback' },
  verifying: { done: 'staging', failed: 'rolledback' },
  staging: { done: 'activating', failed: 'rolledback' },
  activating: { done: 'probation', failed: 'rolledback' },
  probation: { done: 'committed', failed: 'rolledback' },
}

/**
 * What may still become of a version that was committed in place of an older one, as long as it is on watch (watch-rule.ts).
 * `rolledback` is on disk first; `current` follows, and a restart in between goes by the record (see `isCutOffRollback`).
 */
export const ON_WATCH = { proven: 'committed', 'crash-loop': 'rolledback' } as const satisfies Record<string, FinalState>

/** State writes of one deployment at the most. A version that takes the agent down with it would be tried for ever otherwise. */
export const TRANSITIONS_MAX = 28

export function isFinal(state: DeploymentState): state is FinalState {
  return state === 'committed' || state === 'rolledback'
}

export interface Facts {
  /** `current` names this version. */
  readonly isCurrent: boolean
  /** The version's directory is there and complete by hash. */
  readonly isStaged: boolean
}

/** The record says that this version was rolled back, and `current` still names it: the version before it is to be started. */
export function isCutOffRollback(deployment: { readonly version: number; readonly state: DeploymentState } | null, current: number | null) {
  return deployment?.state === ON_WATCH['crash-loop'] && deployment.version === current
}

/** Where a deployment that a restart interrupted goes on. */
export function resume(state: WorkingState, { isCurrent, isStaged }: Facts): DeploymentState {
  if (isCurrent && isStaged) return 'committed'
  if (isStaged && state !== 'fetching' && state !== 'verifying') return 'activating'
  return 'fetching'
}

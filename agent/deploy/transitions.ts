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

/** Where a deployment that a restart interrupted goes on. */
export function resume(state: WorkingState, { isCurrent, isStaged }: Facts): DeploymentState {
  if (isCurrent && isStaged) return 'committed'
  if (isStaged && state !== 'fetching' && state !== 'verifying') return 'activating'
  return 'fetching'
}

/**
 * From what should run and what is there to what is to do: pure. An empty plan is success. `name` is a function's (its production
 * version), or `function@alias`: each alias is deployed, judged and rolled back by itself.
 */
import { PRODUCTION, readSlot, slotName } from '../../config/routes.ts'
import type { Desired } from '../../config/wire.ts'
import type { Deployment } from './deployment-book.ts'

export interface CurrentFunction {
  readonly name: string
  /** The version `current` names, whole on disk; null: none. */
  readonly committed: number | null
  /** The version the processor runs; null: none. */
  readonly active: number | null
  readonly deployment: Deployment | null
}

export type Step =
  /** Not desired any more: stop it and remove its files. */
  | { readonly do: 'remove'; readonly name: string }
  /** The record is of a version that nobody wants now: back to the committed one. */
  | { readonly do: 'forget'; readonly name: string }
  | { readonly do: 'disable'; readonly name: string }
  /** Committed, but not running. */
  | { readonly do: 'activate'; readonly name: string; readonly version: number }
  | { readonly do: 'deploy'; readonly name: string; readonly version: number }

export interface WantedVersion {
  readonly name: string
  readonly version: number
  readonly disabled: boolean
}

/** Every version that is desired, production before the aliases of the same function. A function that is disabled is so with all of them. */
export function wantedVersions(desired: Desired['functions']): WantedVersion[] {
  return desired.flatMap(({ name, version, disabled, aliases = [] }) => [
    { name, version, disabled },
    ...aliases.map((other) => ({ name: slotName(name, other.alias), version: other.version, disabled: disabled || other.disabled })),
  ])
}

export function plan(desired: Desired['functions'], current: readonly CurrentFunction[]): Step[] {
  const wanted = new Map(wantedVersions(desired).map((fn) => [fn.name, fn]))
  const found = new Map(current.map((fn) => [fn.name, fn]))
  const removed = current.filter(({ name }) => !wanted.has(name)).map(({ name }): Step => ({ do: 'remove', name }))
  const changed = [...wanted.values()].flatMap(({ name, version, disabled }) => {
    const fn = found.get(name) ?? { name, committed: null, active: null, deployment: null }
    return stepsOf(fn, version, disabled)
  })
  const [own, ofAliases] = [changed.filter((step) => !startsAlias(step)), changed.filter(startsAlias)]
  // An alias is removed before its function, which takes all files along, and started before it, because its triggers listen then.
  return [...removed.sort((a, b) => Number(isProduction(a.name)) - Number(isProduction(b.name))), ...ofAliases, ...own]
}

function isProduction(name: string): boolean {
  return readSlot(name).alias === PRODUCTION
}

function startsAlias(step: Step): boolean {
  return step.do === 'activate' && !isProduction(step.name)
}

function stepsOf({ name, committed, active, deployment }: CurrentFunction, version: number, disabled: boolean): Step[] {
  const isStale = deployment !== null && deployment.version !== version && deployment.state !== 'committed'
  if (isStale) return [{ do: 'forget', name }]
  if (disabled) return active === null ? [] : [{ do: 'disable', name }]
  if (committed === version) return active === version ? [] : [{ do: 'activate', name, version }]
  const isQuarantined = deployment?.version === version && deployment.state === 'rolledback'
  if (!isQuarantined) return [{ do: 'deploy', name, version }]
  return committed === null || active === committed ? [] : [{ do: 'activate', name, version: committed }]
}

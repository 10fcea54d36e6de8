/** What one device is to run, and how a release changes it: pure. */
import { ALIASES_MAX, PRODUCTION, readSlot, type Route } from '../../config/routes.ts'
import { InputError } from '../../runtime/base/errors.ts'

export interface AliasAssignment {
  readonly alias: string
  readonly version: number
  readonly disabled: boolean
}

export interface Assignment {
  readonly name: string
  /** Of production. */
  readonly version: number
  readonly disabled: boolean
  /** By name. */
  readonly aliases: readonly AliasAssignment[]
  /** null: the hub does not say. */
  readonly routes: readonly Route[] | null
}

export interface AssignmentChange {
  readonly functions: readonly { readonly name: string; readonly alias: string; readonly version: number; readonly disabled: boolean }[]
  /** `function`, or `function@alias`. */
  readonly remove: readonly string[]
  /** null: the hub does not say any more. */
  readonly routes: Readonly<Record<string, readonly Route[] | null>>
}

/**
 * The assignments after the change, by name. What is not named stays. Aliases and routes of a function that is not assigned are
 * told to `missing`, and left out when that returns.
 */
export function changeAssignments(
  before: readonly Assignment[],
  { functions, remove, routes }: AssignmentChange,
  missing: (name: string) => void,
): Assignment[] {
  const after = new Map(before.map((assignment) => [assignment.name, assignment]))
  for (const slot of remove) removeSlot(after, slot)
  for (const { name, alias, version, disabled } of functions) {
    if (alias !== PRODUCTION) continue
    const { aliases = [], routes: list = null } = after.get(name) ?? {}
    after.set(name, { name, version, disabled, aliases, routes: list })
  }
  for (const { name, alias, version, disabled } of functions) {
    if (alias === PRODUCTION) continue
    const assignment = after.get(name)
    if (assignment) after.set(name, { ...assignment, aliases: withAlias(assignment, { alias, version, disabled }) })
    else missing(name)
  }
  for (const [name, list] of Object.entries(routes)) {
    const assignment = after.get(name)
    if (assignment) after.set(name, { ...assignment, routes: list })
    else if (list) missing(name)
  }
  return [...after.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

function removeSlot(assignments: Map<string, Assignment>, slot: string): void {
  const { name, alias } = readSlot(slot)
  const assignment = assignments.get(name)
  if (alias === PRODUCTION) assignments.delete(name)
  else if (assignment) assignments.set(name, { ...assignment, aliases: assignment.aliases.filter((other) => other.alias !== alias) })
}

function withAlias({ name, aliases }: Assignment, given: AliasAssignment): AliasAssignment[] {
  const after = [...aliases.filter(({ alias }) => alias !== given.alias), given].sort((a, b) => (a.alias < b.alias ? -1 : 1))
  if (after.length > ALIASES_MAX)
    throw new InputError('aliases-max', `Cannot give ${name} ${after.length} aliases beside production, at most ${ALIASES_MAX}`)
  return after
}

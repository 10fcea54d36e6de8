/**
 * Which version of a function an event goes to. A list of rules, read from the top: the first that fits the event names the alias;
 * no rule fits: production. The same list stands in function.yaml (`spec.routes`), in a release, and in the device's own API.
 */
import * as v from 'valibot'
import { topicFilterFault } from './topic-filter.ts'

/** The alias that is always there: the version that has the function's name. */
export const PRODUCTION = 'production'
export const ALIAS_PATTERN = /^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$/
/** Each alias has workers of its own. */
export const ALIASES_MAX = 8
/** Every event is held against them. */
export const ROUTES_MAX = 64

const ALIAS_EXPECTED = '1 to 32 of a-z, 0-9 and "-", beginning with a letter'
const PATH_MAX = 512

export const aliasName = v.pipe(v.string(), v.regex(ALIAS_PATTERN, ALIAS_EXPECTED))

export const Route = v.pipe(
  v.strictObject({
    /** Where the event goes. Exactly one of `alias` and `version`; a version is meant only while an alias runs it. */
    alias: v.optional(aliasName),
    version: v.optional(v.pipe(v.number(), v.integer('a whole number'), v.minValue(1, 'at least 1'))),
    /** Only events of this trigger. */
    trigger: v.optional(v.pipe(v.string(), v.nonEmpty('a trigger name'), v.maxLength(128, 'at most 128 characters'))),
    /** Only requests to this path and below it. */
    path: v.optional(
      v.pipe(
        v.string(),
        v.regex(/^(?!.*\/:)\/[^?#\s]*$/, 'a path such as "/beta", without parameters'),
        v.maxLength(PATH_MAX, `at most ${PATH_MAX} characters`),
      ),
    ),
    /** Only messages whose topic this filter matches. */
    topic: v.optional(
      v.pipe(
        v.string(),
        v.check(
          (given) => topicFilterFault(given) === null,
          (issue) => topicFilterFault(issue.input) ?? 'a topic filter',
        ),
      ),
    ),
    /** Only so many of a hundred of those that come to this rule. */
    percent: v.optional(v.pipe(v.number(), v.minValue(0, 'at least 0'), v.maxValue(100, 'at most 100'))),
    /** What the share is taken of: each event by itself, or all events of an order key together. */
    by: v.optional(v.picklist(['event', 'orderKey'])),
  }),
  v.check(({ alias, version }) => (alias === undefined) !== (version === undefined), 'exactly one of alias and version'),
  v.check(({ by, percent }) => by === undefined || percent !== undefined, 'percent beside "by"'),
)
export type Route = v.InferOutput<typeof Route>

export const Routes = v.pipe(v.array(Route), v.maxLength(ROUTES_MAX, `at most ${ROUTES_MAX} routes`))

/** Whose list counts: the hub's before the device's own before function.yaml's. */
export type RoutesOrigin = 'hub' | 'device' | 'spec' | 'none'

/** `f` and `f@test`: how a function, or an alias of it, is called in commands, invocations and on disk. */
export function slotName(name: string, alias: string = PRODUCTION): string {
  return alias === PRODUCTION ? name : `${name}@${alias}`
}

export function readSlot(slot: string): { readonly name: string; readonly alias: string } {
  const at = slot.lastIndexOf('@')
  return at === -1 ? { name: slot, alias: PRODUCTION } : { name: slot.slice(0, at), alias: slot.slice(at + 1) }
}

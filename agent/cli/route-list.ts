/** Lists of routes as commands edit and show them: pure. */
import type { Route } from '../../config/routes.ts'

/** What of a route says which events it is for. */
export type RouteConditions = Partial<Pick<Route, 'trigger' | 'path' | 'topic' | 'percent' | 'by'>>

/**
 * The list with the route in it: in the place of one for the same events, else at the end, or at the beginning where it counts
 * before all others. Shares of the same events are the same route only when they go to the same alias.
 */
export function withRoute(list: readonly Route[], route: Route, isFirst: boolean): Route[] {
  const at = list.findIndex((known) => isSame(known, route))
  if (isFirst) return [route, ...list.filter((_, i) => i !== at)]
  return at === -1 ? [...list, route] : list.with(at, route)
}

/** The list without the routes that have all of these conditions and this aim. */
export function withoutRoutes(list: readonly Route[], what: RouteConditions & { readonly alias?: string | undefined }): Route[] {
  const keys = Object.entries(what).filter(([, value]) => value !== undefined) as [keyof Route, unknown][]
  return list.filter((route) => !keys.every(([key, value]) => route[key] === value))
}

/** `path /beta, 10 % by orderKey`, or `everything`. */
export function conditionsText({ trigger, path, topic, percent, by }: RouteConditions): string {
  const parts = [
    trigger === undefined ? '' : `trigger ${trigger}`,
    path === undefined ? '' : `path ${path}`,
    topic === undefined ? '' : `topic ${topic}`,
    percent === undefined ? '' : `${percent} %${by === 'orderKey' ? ' by order key' : ''}`,
  ].filter((part) => part !== '')
  return parts.length === 0 ? 'everything' : parts.join(', ')
}

export function aimText({ alias, version }: Route): string {
  return alias ?? `version ${version}`
}

function isSame(a: Route, b: Route): boolean {
  const isShare = a.percent !== undefined
  if (a.trigger !== b.trigger || a.path !== b.path || a.topic !== b.topic || isShare !== (b.percent !== undefined)) return false
  return !isShare || (a.alias === b.alias && a.version === b.version)
}

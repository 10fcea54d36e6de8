import { InputError } from '../../runtime/base/errors.ts'
import type { Route } from './route.ts'

export interface Match {
  readonly route: Route
  readonly params: Record<string, string>
}

/** Finds a route by method and path. Few routes: they are tried in order. */
export class Router {
  readonly routes: readonly Route[]
  readonly #segments: ReadonlyMap<Route, readonly string[]>

  constructor(routes: readonly Route[]) {
    this.routes = routes
    this.#segments = new Map(routes.map((route) => [route, route.path.split('/')]))
  }

  /** Throws InputError 'route-unknown' or 'method-not-allowed'. */
  find(method: string, path: string): Match {
    const given = path.split('/')
    let isPathKnown = false
    for (const route of this.routes) {
      const params = matchSegments(this.#segments.get(route)!, given)
      if (!params) continue
      if (route.method === method) return { route, params }
      isPathKnown = true
    }
    if (isPathKnown) throw new InputError('method-not-allowed', `Cannot ${method} this path`)
    throw new InputError('route-unknown', 'Cannot find this path', { hint: 'docs/hub-api.md lists the routes' })
  }
}

function matchSegments(pattern: readonly string[], given: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== given.length) return undefined
  const params: Record<string, string> = Object.create(null)
  for (const [i, segment] of pattern.entries()) {
    const value = given[i]!
    if (!segment.startsWith(':')) {
      if (segment !== value) return undefined
    } else if (value === '') return undefined
    else params[segment.slice(1)] = decode(value)
  }
  return params
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new InputError('path-invalid', 'Cannot read the path: it is not percent-encoded UTF-8', { cause })
  }
}

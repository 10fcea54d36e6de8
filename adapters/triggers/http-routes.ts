/**
 * Which of the functions behind one port a path belongs to. A route stands for its path and for everything below it; the longest
 * one that fits wins, and at the same length a written segment wins over a parameter (`/devices/all` over `/devices/:id`).
 * `/devices/:id` matches one segment, whatever it is, and tells it as a field.
 */
export interface RouteMatch<T> {
  readonly target: T
  /** Parameters and their values, not decoded; undefined for a route without any. */
  readonly parameters: readonly (readonly [name: string, raw: string])[] | undefined
}

interface Node<T> {
  readonly written: Map<string, Node<T>>
  parameter: Node<T> | undefined
  route: { readonly target: T; readonly path: string; readonly names: readonly (string | null)[] } | undefined
}

export class RouteTable<T> {
  readonly #root: Node<T> = emptyNode()
  /** Routes without parameters by their whole path: what most requests ask for, found at once. */
  readonly #whole = new Map<string, RouteMatch<T>>()

  /** False: the route is taken. */
  add(path: string, target: T): boolean {
    const route = normalize(path)
    const segments = segmentsOf(route)
    let node = this.#root
    for (const segment of segments) node = childOf(node, segment)
    if (node.route) return false
    const names = segments.map((segment) => (isParameter(segment) ? segment.slice(1) : null))
    node.route = { target, path, names }
    if (names.every((name) => name === null)) this.#whole.set(route, { target, parameters: undefined })
    return true
  }

  /** Takes the route away if it is this target's. */
  remove(path: string, target: T): void {
    const route = normalize(path)
    const trail: (readonly [Node<T>, string])[] = []
    let node: Node<T> | undefined = this.#root
    for (const segment of segmentsOf(route)) {
      trail.push([node, segment])
      node = isParameter(segment) ? node.parameter : node.written.get(segment)
      if (!node) return
    }
    if (node.route?.target !== target) return
    node.route = undefined
    this.#whole.delete(route)
    for (let at = trail.length - 1; at >= 0 && isEmpty(node); at--) {
      const [parent, segment]: readonly [Node<T>, string] = trail[at]!
      if (isParameter(segment)) parent.parameter = undefined
      else parent.written.delete(segment)
      node = parent
    }
  }

  /** `path`: as it came, without the query. */
  find(path: string): RouteMatch<T> | undefined {
    const whole = this.#whole.get(path) ?? (path.endsWith('/') ? this.#whole.get(path.slice(0, -1)) : undefined)
    if (whole) return whole
    const segments = segmentsOf(normalize(path))
    const best = deepest(this.#root, segments, 0)
    if (!best?.route) return undefined
    const { target, names } = best.route
    const parameters: [string, string][] = []
    for (let i = 0; i < names.length; i++) if (names[i] !== null) parameters.push([names[i]!, segments[i]!])
    return { target, parameters: parameters.length === 0 ? undefined : parameters }
  }

  /** All routes as they were given, in order of the alphabet. */
  paths(): string[] {
    const found: string[] = []
    const visit = (node: Node<T>): void => {
      if (node.route) found.push(node.route.path)
      for (const child of node.written.values()) visit(child)
      if (node.parameter) visit(node.parameter)
    }
    visit(this.#root)
    return found.sort()
  }
}

/** Each node is looked at once at the most: it stands at one depth only. */
function deepest<T>(node: Node<T>, segments: readonly string[], depth: number): Node<T> | undefined {
  let best = node.route ? node : undefined
  const segment = segments[depth]
  if (segment === undefined) return best
  for (const child of [node.written.get(segment), segment === '' ? undefined : node.parameter]) {
    const found = child && deepest(child, segments, depth + 1)
    if (found && (!best || found.route!.names.length > best.route!.names.length)) best = found
  }
  return best
}

function childOf<T>(node: Node<T>, segment: string): Node<T> {
  if (isParameter(segment)) return (node.parameter ??= emptyNode())
  let child = node.written.get(segment)
  if (!child) node.written.set(segment, (child = emptyNode()))
  return child
}

function emptyNode<T>(): Node<T> {
  return { written: new Map(), parameter: undefined, route: undefined }
}

function isEmpty<T>(node: Node<T>): boolean {
  return !node.route && !node.parameter && node.written.size === 0
}

function isParameter(segment: string): boolean {
  return segment.length > 1 && segment.startsWith(':')
}

/** `/` and paths with a slash at the end stand for what is below them. */
function normalize(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

function segmentsOf(normalized: string): string[] {
  return normalized === '' ? [] : normalized.slice(1).split('/')
}

/**
 * Finds the values filed under every topic filter that matches a topic (MQTT 3.1.1, section 4.7).
 * A topic that starts with `$` is not matched by a filter that starts with a wildcard.
 */
export class TopicTree<V> {
  #root = node<V>()
  #size = 0

  get size(): number {
    return this.#size
  }

  add(filter: string, value: V): void {
    let at = this.#root
    for (const level of filter.split('/')) {
      let next = at.children.get(level)
      if (next === undefined) {
        next = node<V>()
        at.children.set(level, next)
      }
      at = next
    }
    if (!at.values.has(value)) this.#size++
    at.values.add(value)
  }

  /** Branches that become empty are cut off. */
  remove(filter: string, value: V): void {
    const levels = filter.split('/')
    const path = [this.#root]
    for (const level of levels) {
      const next = path.at(-1)!.children.get(level)
      if (next === undefined) return
      path.push(next)
    }
    if (!path.at(-1)!.values.delete(value)) return
    this.#size--
    for (let i = levels.length; i > 0 && path[i]!.values.size === 0 && path[i]!.children.size === 0; i--) {
      path[i - 1]!.children.delete(levels[i - 1]!)
    }
  }

  match(topic: string): V[] {
    const found: V[] = []
    if (this.#size > 0) visit(this.#root, topic.split('/'), 0, topic.startsWith('$'), (value) => void found.push(value))
    return found
  }

  matches(topic: string): boolean {
    if (this.#size === 0) return false
    let any = false
    visit(this.#root, topic.split('/'), 0, topic.startsWith('$'), () => {
      any = true
    })
    return any
  }
}

interface Node<V> {
  readonly children: Map<string, Node<V>>
  readonly values: Set<V>
}

function node<V>(): Node<V> {
  return { children: new Map(), values: new Set() }
}

function visit<V>(at: Node<V>, levels: readonly string[], depth: number, isReserved: boolean, found: (value: V) => void): void {
  const wildcards = depth > 0 || !isReserved
  if (wildcards) for (const value of at.children.get('#')?.values ?? []) found(value)
  if (depth === levels.length) {
    for (const value of at.values) found(value)
    return
  }
  const exact = at.children.get(levels[depth]!)
  if (exact !== undefined) visit(exact, levels, depth + 1, isReserved, found)
  const any = wildcards ? at.children.get('+') : undefined
  if (any !== undefined) visit(any, levels, depth + 1, isReserved, found)
}

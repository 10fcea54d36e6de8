import type { InboundMessage, Ingest } from '../broker/contract.ts'
import { TopicTree } from '../broker/topic-tree.ts'

/** A trigger that listens on the local broker: `done` when the message is committed (or needs no commit). */
export type RouteTarget = (message: InboundMessage, done: (error: Error | null) => void) => void

const KNOWN_TOPICS_MAX = 10_000

/**
 * Takes what clients publish on the local broker to the triggers that listen for it. The broker acknowledges when all of them
 * have committed; a target that matches by several filters gets the message once.
 */
export class MqttRouter implements Ingest {
  readonly #tree = new TopicTree<RouteTarget>()
  /** Targets of topics seen before: sensors publish on few topics, and again and again. */
  readonly #known = new Map<string, readonly RouteTarget[]>()

  add(filter: string, target: RouteTarget): void {
    this.#known.clear()
    this.#tree.add(filter, target)
  }

  remove(filter: string, target: RouteTarget): void {
    this.#known.clear()
    this.#tree.remove(filter, target)
  }

  publish(message: InboundMessage, done: (error: Error | null) => void): void {
    const targets = this.#targetsOf(message.topic)
    if (targets.length === 0) return done(null)
    if (targets.length === 1) return targets[0]!(message, done)
    let waiting = targets.length
    let failure: Error | null = null
    const one = (error: Error | null) => {
      failure ??= error
      if (--waiting === 0) done(failure)
    }
    for (const target of targets) target(message, one)
  }

  #targetsOf(topic: string): readonly RouteTarget[] {
    const known = this.#known.get(topic)
    if (known) return known
    const targets = [...new Set(this.#tree.match(topic))]
    if (this.#known.size >= KNOWN_TOPICS_MAX) this.#known.clear()
    this.#known.set(topic, targets)
    return targets
  }
}

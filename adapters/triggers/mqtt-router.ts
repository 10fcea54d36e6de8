import type { InboundMessage, Ingest } from '../broker/contract.ts'
import { TopicTree } from '../broker/topic-tree.ts'

/** A trigger that listens on the local broker: `done` when the message is committed (or needs no commit). */
export type RouteTarget = (message: InboundMessage, done: (error: Error | null) => void) => void

/**
 * Takes what clients publish on the local broker to the triggers that listen for it. The broker acknowledges when all of them
 * have committed; a target that matches by several filters gets the message once.
 */
export class MqttRouter implements Ingest {
  readonly #tree = new TopicTree<RouteTarget>()

  add(filter: string, target: RouteTarget): void {
    this.#tree.add(filter, target)
  }

  remove(filter: string, target: RouteTarget): void {
    this.#tree.remove(filter, target)
  }

  publish(message: InboundMessage, done: (error: Error | null) => void): void {
    const matched = this.#tree.match(message.topic)
    if (matched.length === 0) return done(null)
    if (matched.length === 1) return matched[0]!(message, done)
    const targets = new Set(matched)
    let waiting = targets.size
    let failure: Error | null = null
    const one = (error: Error | null) => {
      failure ??= error
      if (--waiting === 0) done(failure)
    }
    for (const target of targets) target(message, one)
  }
}

import { hash } from 'node:crypto'
import { TopicTree } from '../broker/topic-tree.ts'
import type { PublishPacket } from './mqtt-publish-packet.ts'
import type { AskedSubscription } from './mqtt-subscriptions.ts'

/** Messages whose other copies are waited for. When there are more, the oldest count as new if a copy comes: twice, not lost. */
const WAITING_MAX = 1000

/**
 * Finds the copies that a broker of MQTT 5 sends of one message because several filters match. Of each message it counts how often it
 * came for each filter; what comes for one filter as often as it came for another already is a copy, so that two messages that are alike
 * stay two. It knows one connection only: copies on both sides of a lost one are taken twice.
 */
export class Copies {
  readonly #tree = new TopicTree<number>()
  readonly #waiting = new Map<string, Map<number, number>>()

  constructor(subscriptions: readonly AskedSubscription[]) {
    for (const { topic, id } of subscriptions) if (id !== null) this.#tree.add(topic, id)
  }

  isCopy({ topic, payload, properties: { subscriptionIds } }: PublishPacket): boolean {
    if (subscriptionIds.length === 0 || this.#tree.size === 0) return false
    const matching = this.#tree.match(topic)
    const ids = subscriptionIds.filter((id) => matching.includes(id))
    if (matching.length < 2 || ids.length === 0 || ids.length === matching.length) return false
    const key = `${hash('sha256', payload, 'base64')} ${topic}`
    const counts = this.#waiting.get(key) ?? new Map<number, number>()
    const most = () => Math.max(0, ...counts.values())
    const taken = most()
    for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
    const isNew = most() > taken
    if (matching.every((id) => counts.get(id) === most())) this.#waiting.delete(key)
    else this.#keep(key, counts)
    return !isNew
  }

  #keep(key: string, counts: Map<number, number>): void {
    this.#waiting.set(key, counts)
    if (this.#waiting.size <= WAITING_MAX) return
    const [oldest] = this.#waiting.keys()
    this.#waiting.delete(oldest!)
  }
}

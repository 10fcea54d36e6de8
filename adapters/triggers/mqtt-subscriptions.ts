import { covers, filtersOverlap } from '../../config/topic-filter.ts'
import type { MqttSubscription } from '../../config/function-config.ts'
import type { Marks } from './marks.ts'

export interface AskedSubscription extends MqttSubscription {
  /** MQTT 5: told by the broker with each message, because other filters may match the same one; null: none needed. */
  readonly id: number | null
}

const isShared = (filter: string) => filter.startsWith('$share/')

/**
 * What is asked of the broker. A filter that another one covers is left out, for a broker may send a message once for each filter that
 * matches. Filters that overlap in part get subscription ids, so that copies can be told from messages that are alike. Shared
 * subscriptions stand alone: who gets a message of theirs is the broker's choice.
 */
export function planSubscriptions(given: readonly MqttSubscription[]): AskedSubscription[] {
  const kept = given.filter((one, place) => !given.some((other, at) => at !== place && isCovered(one, other, at < place)))
  return kept.map((one) => {
    const overlaps = kept.some((other) => other !== one && !isShared(other.topic) && filtersOverlap(one.topic, other.topic))
    return { ...one, id: overlaps && !isShared(one.topic) ? idOf(one.topic) : null }
  })
}

/** Of two that cover each other, the earlier one is kept. */
function isCovered(one: MqttSubscription, other: MqttSubscription, isEarlier: boolean): boolean {
  if (one.topic === other.topic) return other.qos > one.qos || (other.qos === one.qos && isEarlier)
  if (isShared(one.topic) || isShared(other.topic)) return false
  return other.qos >= one.qos && covers(other.topic.split('/'), one.topic.split('/'))
}

/** The same for a filter whatever stands beside it: messages that wait at the broker carry the ids of an earlier configuration. */
function idOf(filter: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(filter)) hash = Math.imul(hash ^ byte, 0x01000193)
  return (hash >>> 4) & 0x0fff_ffff || 1
}

/**
 * The filters that a session at the broker may hold, kept over restarts: those that the function has no more must be given up, or their
 * messages would come for ever.
 */
export class SessionFilters {
  readonly #marks: Marks
  readonly #mark: string

  constructor(marks: Marks, clientId: string) {
    this.#marks = marks
    this.#mark = `mqtt/filters/${clientId}`
  }

  /** Before they are asked for; resolves with those to give up. */
  async begin(wanted: readonly string[]): Promise<string[]> {
    const known = JSON.parse((await this.#marks.get(this.#mark)) ?? '[]') as string[]
    const all = [...new Set([...known, ...wanted])]
    if (all.length > known.length) await this.#marks.set(this.#mark, JSON.stringify(all))
    return known.filter((filter) => !wanted.includes(filter))
  }

  /** The broker holds these and no others. */
  async done(wanted: readonly string[]): Promise<void> {
    await this.#marks.set(this.#mark, JSON.stringify(wanted))
  }
}

import type { Aedes } from 'aedes'
import type { AedesPacket } from './aedes-internals.ts'
import type { BrokerCounters } from './contract.ts'
import type { MessageRouter } from './message-router.ts'
import type { RetainedMessages } from './retained-messages.ts'
import type { Sessions } from './sessions.ts'

export interface Outgoing {
  readonly clientId?: string
  readonly topic: string
  readonly payload: Buffer | string
  readonly qos?: 0 | 1 | 2
  readonly retain?: boolean
}

/** What aedes numbers messages with: subscribers drop one whose number is not above the last. */
type Counter = Pick<Aedes, 'id'> & { counter: number }

/**
 * Brings a message to its local subscribers, in one synchronous step: retained store, queues of sessions, live clients.
 * It stands in for aedes.publish, whose steps take a different number of ticks for QoS 0, QoS 1 and retained messages: one that
 * overtakes another makes aedes take the older for a duplicate (the counters run backwards) and never deliver it.
 */
export class FanOut {
  readonly #aedes: Counter
  readonly #router: MessageRouter
  readonly #sessions: Sessions
  readonly #retained: RetainedMessages
  readonly #counters: BrokerCounters

  constructor(aedes: Pick<Aedes, 'id'>, router: MessageRouter, sessions: Sessions, retained: RetainedMessages, counters: BrokerCounters) {
    this.#aedes = aedes as Counter
    this.#router = router
    this.#sessions = sessions
    this.#retained = retained
    this.#counters = counters
  }

  send({ clientId, topic, payload, qos = 0, retain = false }: Outgoing): void {
    const reachesSessions = qos > 0 && this.#sessions.reaches(topic)
    const reachesClients = this.#router.reaches(topic)
    if (!retain && !reachesSessions && !reachesClients) return
    const packet: AedesPacket = {
      cmd: 'publish',
      brokerId: this.#aedes.id,
      brokerCounter: ++this.#aedes.counter,
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      qos,
      retain,
      dup: false,
      ...(clientId === undefined ? {} : { clientId }),
    }
    if (retain && !this.#retained.store(packet)) this.#counters.retainedRefused++
    if (reachesSessions) this.#counters.queueDropped += this.#sessions.enqueue(packet)
    if (reachesClients) this.#router.emit(packet)
  }
}

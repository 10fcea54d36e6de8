import { Readable } from 'node:stream'
import type { AedesClient, AedesPacket, AedesSubscription } from './aedes-internals.ts'
import type { InboundIds } from './inbound-ids.ts'
import type { RetainedMessages } from './retained-messages.ts'
import type { Sessions } from './sessions.ts'

/** What may be kept for a client: aedes hands over every filter of a SUBSCRIBE, those it has just refused included. */
export type MayKeep = (client: AedesClient, filter: string) => boolean

/**
 * What aedes asks of a persistence, over bounded memory. Clients with clean session 1 have no session and leave nothing here but
 * their will and their open QoS 2 ids, both gone with the connection. Retained messages and queues are filled by FanOut, not by aedes.
 */
export class BoundedPersistence {
  readonly #sessions: Sessions
  readonly #retained: RetainedMessages
  readonly #inbound: InboundIds
  readonly #mayKeep: MayKeep
  readonly #wills = new Map<string, AedesPacket>()

  constructor(sessions: Sessions, retained: RetainedMessages, inbound: InboundIds, mayKeep: MayKeep) {
    this.#sessions = sessions
    this.#retained = retained
    this.#inbound = inbound
    this.#mayKeep = mayKeep
  }

  async setup(): Promise<void> {}

  createRetainedStreamCombi(filters: string[]): Readable {
    return Readable.from(this.#retained.match(filters))
  }

  async addSubscriptions(client: AedesClient, subscriptions: AedesSubscription[]): Promise<void> {
    const session = this.#sessions.get(client.id!)
    if (session === undefined) return
    for (const { topic, qos, rh, rap, nl } of subscriptions) {
      if (this.#mayKeep(client, topic)) this.#sessions.subscribe(session, { topic, qos, rh, rap, nl })
    }
  }

  async removeSubscriptions(client: AedesClient, filters: string[]): Promise<void> {
    const session = this.#sessions.get(client.id!)
    if (session !== undefined) for (const filter of filters) this.#sessions.unsubscribe(session, filter)
  }

  async subscriptionsByClient({ id }: { id: string }): Promise<AedesSubscription[]> {
    return Array.from(this.#sessions.get(id)?.subscriptions.values() ?? [], ({ topic, qos, rh, rap, nl }) => ({ topic, qos, rh, rap, nl }))
  }

  async cleanSubscriptions(client: AedesClient): Promise<void> {
    this.#sessions.end(client.id!)
  }

  /** Resolves also for a message that is no longer queued: aedes would close the client for it. */
  async outgoingUpdate(client: AedesClient, packet: AedesPacket): Promise<void> {
    const queue = this.#sessions.get(client.id!)?.queue
    if (queue === undefined) return
    if (packet.cmd === 'pubrel') queue.released(packet)
    else queue.sent(packet)
  }

  /** Without a message id, aedes means one that this subscription does not send (refused, or another of the client's does): found by its counter. */
  async outgoingClearMessageId(client: AedesClient, packet: AedesPacket): Promise<AedesPacket | undefined> {
    const queue = this.#sessions.get(client.id!)?.queue
    if (queue === undefined) return undefined
    return packet.messageId === undefined ? queue.drop(packet.brokerCounter ?? -1) : queue.acknowledged(packet.messageId)
  }

  outgoingStream(client: AedesClient): Readable {
    return Readable.from(this.#sessions.get(client.id!)?.queue.packets() ?? [])
  }

  /** QoS 2 from clients is not handled by aedes but by the publish lane, which keeps the ids; aedes answers PUBREL with these two. */
  async incomingGetPacket(client: AedesClient, packet: AedesPacket): Promise<AedesPacket> {
    if (this.#inbound.state(client.id!, packet.messageId!) === undefined) throw new Error('no such packet')
    return packet
  }

  async incomingDelPacket(client: AedesClient, packet: AedesPacket): Promise<void> {
    this.#inbound.release(client.id!, packet.messageId!)
  }

  async cleanIncoming(client: AedesClient): Promise<void> {
    this.#inbound.forget(client.id!)
  }

  async putWill(client: AedesClient, will: AedesPacket): Promise<void> {
    will.clientId = client.id!
    this.#wills.set(client.id!, will)
  }

  async delWill({ id }: { id: string }): Promise<void> {
    this.#wills.delete(id)
  }

  /** Wills of other brokers: there are none. (aedes would take our own for such after the wall clock has stepped.) */
  streamWill(): Readable {
    return Readable.from([])
  }
}

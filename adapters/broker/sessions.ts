import type { AedesPacket, AedesSubscription } from './aedes-internals.ts'
import { OutgoingQueue, type QueueLimits } from './outgoing-queue.ts'
import { TopicTree } from './topic-tree.ts'

export interface SessionLimits {
  readonly sessionsMax: number
  readonly expiryMs: number
  readonly queue: QueueLimits
}

/** The state of a client with clean session 0. It belongs to the identity that opened it. */
export interface Session {
  readonly clientId: string
  readonly identity: string
  readonly subscriptions: Map<string, StoredSubscription>
  readonly queue: OutgoingQueue
  /** When the client went away; null while it is connected. */
  awaySinceMs: number | null
}

export interface StoredSubscription extends AedesSubscription {
  readonly session: Session
}

/** The persistent sessions, in memory: they outlive a connection, not the process. `nowMs` is monotonic. */
export class Sessions {
  readonly #limits: SessionLimits
  readonly #nowMs: () => number
  readonly #sessions = new Map<string, Session>()
  readonly #tree = new TopicTree<StoredSubscription>()

  constructor(limits: SessionLimits, nowMs: () => number) {
    this.#limits = limits
    this.#nowMs = nowMs
  }

  get size(): number {
    return this.#sessions.size
  }

  get queued(): number {
    let sum = 0
    for (const session of this.#sessions.values()) sum += session.queue.size
    return sum
  }

  get(clientId: string): Session | undefined {
    return this.#sessions.get(clientId)
  }

  /** The client's session, found or new; undefined when there are too many. */
  open(clientId: string, identity: string): Session | undefined {
    let session = this.#sessions.get(clientId)
    if (session === undefined) {
      if (this.#sessions.size >= this.#limits.sessionsMax) return undefined
      session = { clientId, identity, subscriptions: new Map(), queue: new OutgoingQueue(this.#limits.queue), awaySinceMs: null }
      this.#sessions.set(clientId, session)
    }
    session.awaySinceMs = null
    return session
  }

  leave(clientId: string): void {
    const session = this.#sessions.get(clientId)
    if (session !== undefined) session.awaySinceMs = this.#nowMs()
  }

  end(clientId: string): void {
    const session = this.#sessions.get(clientId)
    if (session === undefined) return
    for (const filter of session.subscriptions.keys()) this.unsubscribe(session, filter)
    this.#sessions.delete(clientId)
  }

  /** Ends every session whose client stayed away too long; returns their client ids. */
  expire(): string[] {
    const before = this.#nowMs() - this.#limits.expiryMs
    const expired = [...this.#sessions.values()].filter(({ awaySinceMs }) => awaySinceMs !== null && awaySinceMs <= before)
    for (const { clientId } of expired) this.end(clientId)
    return expired.map(({ clientId }) => clientId)
  }

  subscribe(session: Session, subscription: AedesSubscription): void {
    this.unsubscribe(session, subscription.topic)
    const stored: StoredSubscription = { ...subscription, session }
    session.subscriptions.set(subscription.topic, stored)
    if (subscription.qos > 0) this.#tree.add(subscription.topic, stored)
  }

  unsubscribe(session: Session, filter: string): void {
    const stored = session.subscriptions.get(filter)
    if (stored === undefined) return
    session.subscriptions.delete(filter)
    this.#tree.remove(filter, stored)
  }

  reaches(topic: string): boolean {
    return this.#tree.matches(topic)
  }

  /** Queues the message once for each session that subscribed it with QoS 1 or 2; returns how many had no room. */
  enqueue(packet: AedesPacket): number {
    const targets = new Map<Session, 0 | 1 | 2>()
    for (const { session, qos } of this.#tree.match(packet.topic)) {
      if (qos > (targets.get(session) ?? 0)) targets.set(session, qos)
    }
    if (targets.size === 0) return 0
    const payload = Buffer.from(packet.payload as Buffer)
    let refused = 0
    for (const [session, qos] of targets) {
      if (!session.queue.add({ ...packet, payload, retain: false, dup: false, qos: qos < packet.qos ? qos : packet.qos })) refused++
    }
    return refused
  }
}

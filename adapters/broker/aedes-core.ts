import { Aedes, type AuthenticateError } from 'aedes'
import type { AedesClient, AedesConnectPacket, AedesPacket } from './aedes-internals.ts'
import type { BoundedPersistence } from './bounded-persistence.ts'
import type { Outgoing } from './fan-out.ts'
import type { Refusal } from './gatekeeper.ts'
import type { MessageRouter } from './message-router.ts'

/** What aedes asks and tells the broker. */
export interface AedesHooks {
  readonly router: MessageRouter
  readonly persistence: BoundedPersistence
  readonly drainTimeoutMs: number
  onConnect(client: AedesClient, connect: AedesConnectPacket): void
  /** `done` is not called when the connection has ended meanwhile. */
  admit(client: AedesClient, done: (refusal: Refusal | null) => void): Promise<void>
  /** CONNACK is out. */
  onAdmitted(client: AedesClient): void
  grant(client: AedesClient, filter: string): boolean
  onUnsubscribed(client: AedesClient, filters: string[]): void
  /** The only message that aedes itself publishes for a client. */
  takeWill(client: AedesClient | null, will: AedesPacket, done: (error: Error | null) => void): Promise<void>
  mayDeliver(client: AedesClient, packet: AedesPacket): boolean
  send(packet: Outgoing): void
  onError(error: Error): void
}

/** The most aedes allows; the configured limit is the gatekeeper's, which answers SUBACK 0x80 where aedes would close the client. */
const TOPIC_LEVELS_MAX = 100

/** aedes, with everything it decides by itself handed to the hooks. It keeps the protocol: subscriptions, deliveries, sessions, wills. */
export function newAedes(hooks: AedesHooks): Aedes {
  const aedes = new Aedes({
    mq: hooks.router,
    persistence: hooks.persistence,
    drainTimeout: hooks.drainTimeoutMs,
    maxTopicLevels: TOPIC_LEVELS_MAX,
    preConnect: (client, packet, done) => {
      hooks.onConnect(own(client), packet as unknown as AedesConnectPacket)
      done(null, true)
    },
    authenticate: (client, _username, _password, done) => {
      void hooks.admit(own(client), (refusal) => (refusal === null ? done(null, true) : done(refusalError(refusal), false)))
    },
    authorizePublish: (client, will, done) => hooks.takeWill(client === null ? null : own(client), will, done),
    authorizeSubscribe: (client, subscription, done) => done(null, hooks.grant(own(client), subscription.topic) ? subscription : null),
    authorizeForward: (client, packet) => (hooks.mayDeliver(own(client), packet) ? packet : null),
  })
  override(aedes, hooks)
  aedes.on('connackSent', (packet, client) => {
    // aedes notes that CONNACK is out only after this event.
    if ('returnCode' in packet && packet.returnCode === 0) process.nextTick(() => hooks.onAdmitted(own(client)))
  })
  aedes.on('unsubscribe', (filters, client) => hooks.onUnsubscribed(own(client), filters))
  const emitter: NodeJS.EventEmitter = aedes
  emitter.on('error', (error: Error) => hooks.onError(error))
  return aedes
}

/** FanOut stands in for aedes.publish; and a client that ended while it was being let in is not entered: it would throw out its successor. */
function override(aedes: Aedes, hooks: AedesHooks): void {
  const inner = aedes as unknown as {
    publish(packet: Outgoing, client: unknown, done?: unknown): void
    registerClient(client: AedesClient): void
  }
  inner.publish = (packet, client, done = client) => {
    hooks.send(packet)
    if (typeof done === 'function') setImmediate(done as () => void)
  }
  const register = inner.registerClient.bind(aedes)
  inner.registerClient = (client) => {
    if (!client.closed) register(client)
  }
}

function own(client: unknown): AedesClient {
  return client as AedesClient
}

function refusalError({ refuse, returnCode }: Refusal): AuthenticateError {
  const error: object = Object.assign(new Error(refuse), { returnCode })
  return error as AuthenticateError
}

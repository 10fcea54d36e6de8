import type { Aedes } from 'aedes'
import { Closer } from '../../runtime/base/closer.ts'
import { describeError, InputError } from '../../runtime/base/errors.ts'
import { compileAccess, isOwnTopic, isReservedTopic } from './access-rules.ts'
import { newAedes } from './aedes-core.ts'
import { handOver, type AedesClient, type AedesPacket } from './aedes-internals.ts'
import { BoundedPersistence } from './bounded-persistence.ts'
import { Connection, type EndReason } from './connection.ts'
import type { Broker, BrokerOptions, BrokerStats, ClientInfo, InboundMessage, PublishOptions } from './contract.ts'
import { newCounters } from './counters.ts'
import { FanOut } from './fan-out.ts'
import { Gatekeeper, type Refusal } from './gatekeeper.ts'
import { InboundIds } from './inbound-ids.ts'
import { InFlightBudget } from './in-flight-budget.ts'
import { Listener, readTls } from './listener.ts'
import { Logins } from './logins.ts'
import { MessageRouter } from './message-router.ts'
import { levelCount } from './names.ts'
import { topicNameFault } from './packet-checks.ts'
import { PublishLane } from './publish-lane.ts'
import { RateLimitedLog } from './rate-limited-log.ts'
import { RetainedMessages } from './retained-messages.ts'
import { Sessions } from './sessions.ts'

export type * from './contract.ts'

/** A client that takes nothing for this long is closed. */
const DRAIN_TIMEOUT_MS = 10_000
/** Over all clients: what is handed to the ingest and not confirmed. */
const IN_FLIGHT_BYTES_MAX = 64 * 1024 * 1024
const EXPIRE_EVERY_MS = 60_000

/**
 * The local MQTT 3.1.1 broker: aedes behind a frame guard, with an ingest that every message passes before it is acknowledged.
 * Way of a message: socket -> FrameGuard -> Connection -> PublishLane -> ingest -> (confirmed) PUBACK and FanOut -> subscribers.
 */
export async function openBroker(options: BrokerOptions): Promise<Broker> {
  const broker = new LocalBroker(options)
  await broker.open()
  return broker
}

class LocalBroker implements Broker {
  readonly #options: BrokerOptions
  readonly #closer = new Closer()
  readonly #aborted = new AbortController()
  readonly #counters = newCounters()
  readonly #budget = new InFlightBudget(IN_FLIGHT_BYTES_MAX)
  readonly #ids = new InboundIds()
  readonly #sessions: Sessions
  readonly #retained: RetainedMessages
  readonly #router = new MessageRouter()
  readonly #gatekeeper: Gatekeeper
  readonly #aedes: Aedes
  readonly #fanOut: FanOut
  readonly #listener: Listener
  readonly #log: RateLimitedLog
  readonly #connections = new WeakMap<object, Connection>()
  #received = 0
  #isClosing = false

  constructor(options: BrokerOptions) {
    const { config, logger } = options
    const { limits } = config
    this.#options = options
    this.#log = new RateLimitedLog(logger, nowMs)
    const queue = { messagesMax: limits.queuedPerClientMax, bytesMax: limits.queuedBytesPerClientMax }
    this.#sessions = new Sessions({ sessionsMax: limits.sessionsMax, expiryMs: limits.sessionExpiryMs, queue }, nowMs)
    this.#retained = new RetainedMessages({ messagesMax: limits.retainedMax, bytesMax: limits.retainedBytesMax })
    this.#gatekeeper = new Gatekeeper({
      limits,
      authenticate: options.authenticate ?? new Logins(config, this.#aborted.signal, nowMs).authenticate,
      authorize: options.authorize ?? compileAccess(config.acl),
      sessions: this.#sessions,
      counters: this.#counters,
    })
    this.#aedes = this.#newAedes()
    this.#fanOut = new FanOut(this.#aedes, this.#router, this.#sessions, this.#retained, this.#counters)
    this.#listener = new Listener({
      listen: options.listen ?? config.listen,
      setting: options.setting ?? 'broker.listen',
      tls: options.tls ?? readTls(config.tls),
      connectionsMax: limits.connectionsMax,
      connectionsPerAddressMax: limits.connectionsPerAddressMax,
      handshakeTimeoutMs: limits.connectTimeoutMs,
      onConnection: (socket, address) => this.#onConnection(socket, address),
      onRefused: (address, reason) => {
        this.#counters.connectionsRefused++
        this.#log.warn('connection refused', { address, reason })
      },
    })
  }

  async open(): Promise<void> {
    await this.#aedes.listen()
    this.#closer.push(() => new Promise<void>((resolve) => this.#aedes.close(resolve)))
    this.#closer.push(() => this.#aborted.abort())
    const timer = setInterval(() => this.#expire(), EXPIRE_EVERY_MS)
    timer.unref()
    this.#closer.push(() => clearInterval(timer))
    try {
      await this.#listener.open()
    } catch (error) {
      await this.#closer.close()
      throw error
    }
    this.#closer.push(() => this.#listener.close())
    this.#options.logger.info(this.address, 'broker listens')
  }

  get address(): { host: string; port: number } {
    return this.#listener.address
  }

  async publish(topic: string, payload: Buffer | string, { qos = 0, retain = false, ingest = false }: PublishOptions = {}): Promise<void> {
    const fault = topicNameFault(topic) ?? (levelCount(topic) > this.#options.config.limits.topicLevelsMax ? 'has too many levels' : null)
    if (fault !== null) throw new InputError('topic-invalid', `Cannot publish to "${topic}": the topic ${fault}`)
    const message: InboundMessage = {
      clientId: '',
      topic,
      payload: typeof payload === 'string' ? Buffer.from(payload) : payload,
      qos,
      retain,
    }
    if (ingest) await this.#take(message)
    this.#fanOut.send({ topic, payload: message.payload, qos, retain })
  }

  stats(): BrokerStats {
    return {
      clients: this.#gatekeeper.size,
      connections: this.#listener.connections,
      sessions: this.#sessions.size,
      retained: this.#retained.size,
      retainedBytes: this.#retained.bytes,
      queued: this.#sessions.queued,
      inFlight: this.#budget.messages,
      received: this.#received,
      counters: { ...this.#counters },
    }
  }

  clients(): ClientInfo[] {
    return this.#gatekeeper.clients()
  }

  disconnect(clientId: string, reason: string): boolean {
    const connection = this.#gatekeeper.present(clientId)
    connection?.end({ fault: null, text: reason })
    return connection !== undefined
  }

  close(): Promise<void> {
    this.#isClosing = true
    return this.#closer.close()
  }

  #onConnection(socket: ConstructorParameters<typeof Connection>[0]['socket'], address: string): void {
    if (this.#isClosing) return void socket.destroy()
    const connection = new Connection({
      socket,
      address,
      limits: this.#options.config.limits,
      budget: this.#budget,
      open: (self, done) => {
        const client = handOver(this.#aedes, socket, done)
        this.#connections.set(client, self)
        return client
      },
      mayPublish: ({ info }, { topic }) => this.#gatekeeper.mayPublish(info!, topic),
      isPubrelEarly: ({ info }, messageId) => this.#ids.state(info!.clientId, messageId) === 'pending',
      onFault: (self, reason) => this.#onFault(self, address, reason),
      onEnd: (self, reason) => this.#onEnd(self, reason),
    })
    connection.start()
  }

  #onFault({ info }: Connection, address: string, { fault, text }: EndReason): void {
    if (fault === 'malformed') this.#counters.malformed++
    else if (fault === 'oversized') this.#counters.oversized++
    else if (fault === 'timeout') this.#counters.connectTimeouts++
    else if (fault === 'denied') this.#counters.publishesDenied++
    this.#log.warn('client closed', { clientId: info?.clientId, address, fault, reason: text })
  }

  #onEnd(connection: Connection, { text }: EndReason): void {
    const wasIn = this.#gatekeeper.leave(connection)
    if (wasIn && connection.lane) this.#options.onClient?.({ type: 'disconnected', client: connection.info!, reason: text })
  }

  async #admit(connection: Connection, done: (refusal: Refusal | null) => void): Promise<void> {
    const refusal = await this.#gatekeeper
      .admit(connection)
      .catch((error: unknown): Refusal => ({ refuse: describeError(error), returnCode: 3 }))
    if (connection.hasEnded) return
    if (refusal !== null) {
      this.#counters.connectsRefused++
      const { clientId, address } = connection.attempt()
      this.#log.warn('connect refused', { clientId, address, reason: refusal.refuse })
    }
    done(refusal)
  }

  #onAdmitted(connection: Connection): void {
    if (connection.info === null || connection.hasEnded) return
    const lane = new PublishLane({
      clientId: connection.info.clientId,
      ingest: this.#options.ingest,
      ids: this.#ids,
      budget: this.#budget,
      counters: this.#counters,
      write: (acks) => connection.write(acks),
      route: (message) => this.#fanOut.send(message),
      onTaken: () => void this.#received++,
      refuse: (error) => {
        this.#log.warn('message not taken', { clientId: connection.info!.clientId, reason: error.message })
        connection.end({ fault: null, text: 'a message was not taken' })
      },
      onRoom: () => connection.readOn(),
    })
    connection.admit(lane)
    this.#options.onClient?.({ type: 'connected', client: connection.info })
  }

  #take(message: InboundMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.ingest.publish(message, (error) => (error === null ? resolve() : reject(error)))
    })
  }

  /** A client's will, when it ends without DISCONNECT. An error: it is not published. */
  async #takeWill(connection: Connection | undefined, { topic, payload, qos, retain }: AedesPacket): Promise<Error | null> {
    const info = connection?.info ?? null
    if (this.#isClosing || info === null) return new Error('no will is published now')
    if (!this.#gatekeeper.mayPublish(info, topic)) {
      this.#counters.willsRefused++
      return new Error('will denied')
    }
    try {
      await this.#take({ clientId: info.clientId, topic, payload: Buffer.from(payload as Buffer), qos, retain })
      this.#received++
      return null
    } catch (error) {
      this.#counters.ingestRefused++
      this.#log.warn('will not taken', { clientId: info.clientId, reason: describeError(error) })
      return error instanceof Error ? error : new Error(String(error))
    }
  }

  #mayDeliver(client: AedesClient, packet: AedesPacket): boolean {
    if (
      this.#options.authorize === undefined &&
      (isReservedTopic(packet.topic) || isOwnTopic(packet.topic)) &&
      this.#options.config.acl.length === 0
    )
      return false
    if (client.conn.writableLength <= this.#options.config.limits.queuedBytesPerClientMax) {
      if (!client.clean && packet.qos > 0) this.#sessions.get(client.id!)?.queue.claim(packet.brokerCounter!)
      return true
    }
    if (!client.clean && packet.qos > 0) {
      // Its session keeps the message; the client gets it when it comes back.
      this.#counters.slowClosed++
      this.#connections.get(client)?.end({ fault: null, text: 'reads too slowly' })
    } else {
      this.#counters.slowDropped++
    }
    return false
  }

  #expire(): void {
    for (const clientId of this.#sessions.expire()) {
      this.#counters.sessionsExpired++
      this.#ids.forget(clientId)
    }
  }

  #newAedes(): Aedes {
    const { limits } = this.#options.config
    const of = (client: AedesClient) => this.#connections.get(client)
    return newAedes({
      router: this.#router,
      persistence: new BoundedPersistence(
        this.#sessions,
        this.#retained,
        this.#ids,
        (client, filter) => of(client)?.filters.has(filter) === true,
      ),
      drainTimeoutMs: DRAIN_TIMEOUT_MS,
      onConnect: (client, connect) => {
        connect.keepalive = Math.min(connect.keepalive, limits.keepaliveMaxSeconds)
        of(client)!.connect = connect
      },
      admit: (client, done) => this.#admit(of(client)!, done),
      onAdmitted: (client) => this.#onAdmitted(of(client)!),
      grant: (client, filter) => this.#gatekeeper.grant(of(client)!, filter),
      onUnsubscribed: (client, filters) => filters.forEach((filter) => of(client)?.filters.delete(filter)),
      takeWill: async (client, will, done) => done(await this.#takeWill(client === null ? undefined : of(client), will)),
      mayDeliver: (client, packet) => this.#mayDeliver(client, packet),
      send: (packet) => this.#fanOut.send(packet),
      onError: (error) => {
        this.#counters.persistenceErrors++
        this.#log.warn('broker error', { reason: error.message })
      },
    })
  }
}

function nowMs(): number {
  return performance.now()
}

import type { MqttClient } from 'mqtt'
import type { OutsideBroker } from '../../config/triggers/outside-broker.ts'
import { fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { codeOf, describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import { InboundIds } from '../broker/inbound-ids.ts'
import type { Marks } from './marks.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { eventOf } from './mqtt-event.ts'
import { clientIdOf, loginOf } from './mqtt-login.ts'
import type { PublishPacket } from './mqtt-publish-packet.ts'
import { MqttSession } from './mqtt-session.ts'
import { Results, resultsOf } from './mqtt-results.ts'
import { type AskedSubscription, planSubscriptions, SessionFilters } from './mqtt-subscriptions.ts'
import { openTransport, readBrokerFiles } from './mqtt-transport.ts'
import type { TriggerOf } from './registry.ts'

const RECONNECT = { firstMs: 1_000, maxMs: 60_000 }
/** A connection that lasted so long was a good one: the next wait begins at the first again. */
const GOOD_AFTER_MS = 60_000
const PACKET_IDS = 65_535

/**
 * Messages of an outside broker become events. It connects in the background, and again for as long as it runs: a broker that is not
 * there is normal. With delivery `durable`, QoS 1 and 2 are acknowledged after the commit; what is not acknowledged when a connection
 * ends, the broker sends again.
 */
export class OutsideMqttTrigger implements Trigger {
  readonly #config: TriggerOf<'mqtt'>
  readonly #broker: OutsideBroker
  readonly #context: TriggerContext
  readonly #marks: Marks
  readonly #logger: Logger
  readonly #stopping = new AbortController()
  readonly #ids = new InboundIds(PACKET_IDS)
  readonly #subscriptions: readonly AskedSubscription[]
  readonly #results: Results
  #connection = 'connecting'
  #running: Promise<void> = Promise.resolve()
  /** What was told last, so that a broker that is away for a day is told once. */
  #told = ''

  constructor(config: TriggerOf<'mqtt'>, broker: OutsideBroker, context: TriggerContext, marks: Marks) {
    this.#config = config
    this.#broker = broker
    this.#context = context
    this.#marks = marks
    this.#logger = context.logger
    this.#subscriptions = planSubscriptions(config.subscriptions)
    this.#results = new Results((results, reason) => this.#logger.error({ results, reason }, 'results were not published and are lost'))
  }

  async start(): Promise<void> {
    this.#running = this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#running
    this.#results.close()
  }

  /** `connecting`, `connected`, or why there is no connection. */
  get connection(): string {
    return this.#connection
  }

  answered(record: Buffer, answer: Answer): void {
    for (const result of resultsOf(record, answer, this.#broker)) this.#results.add(result)
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { urls } = this.#broker
    for (let failures = 0; !signal.aborted; failures++) {
      const url = urls[failures % urls.length]!
      const wasGood = await this.#connectOnce(url, signal)
      if (signal.aborted) return
      if (wasGood) failures = 0
      // Every broker of the list is tried before the wait grows.
      await sleep(fullJitterMs(1 + Math.floor(failures / urls.length), RECONNECT), signal).catch(() => {})
    }
  }

  /** From connecting to the end of the connection; whether it was good for something. */
  async #connectOnce(url: string, signal: AbortSignal): Promise<boolean> {
    const sinceMs = performance.now()
    try {
      const session = await this.#connect(url, signal)
      await session.subscribed
      this.#told = ''
      this.#connection = 'connected'
      this.#logger.info({ url }, 'subscribed at the outside broker')
      this.#results.connected(({ topic, payload, options }) => session.publish(topic, payload, options))
      const error = await session.ended
      if (!signal.aborted) this.#tell(url, 'the connection to the outside broker ended', error)
      return session.hasCommitted || performance.now() - sinceMs > GOOD_AFTER_MS
    } catch (error) {
      if (!signal.aborted) this.#tell(url, 'no connection to the outside broker', error)
      return false
    } finally {
      this.#results.disconnected()
    }
  }

  async #connect(url: string, signal: AbortSignal): Promise<MqttSession> {
    const [{ MqttClient }, files, login, clientId] = await Promise.all([
      import('mqtt'),
      readBrokerFiles(this.#broker),
      loginOf(this.#broker),
      clientIdOf(this.#broker, this.#context.functionName, this.#config.name, this.#marks),
    ])
    signal.throwIfAborted()
    const filters = new SessionFilters(this.#marks, clientId)
    const wanted = this.#subscriptions.map(({ topic }) => topic)
    const giveUp = await filters.begin(wanted)
    signal.throwIfAborted()
    const transport = await openTransport(url, files, this.#broker)
    const session = this.#open(MqttClient, transport, { clientId, ...login }, giveUp)
    const finish = () => session.finish()
    signal.addEventListener('abort', finish, { once: true })
    void session.ended.then(() => signal.removeEventListener('abort', finish))
    if (signal.aborted) finish()
    void session.subscribed.then(() => filters.done(wanted)).catch(() => {})
    return session
  }

  #open(
    Client: typeof MqttClient,
    transport: Awaited<ReturnType<typeof openTransport>>,
    login: { clientId: string; username?: string; password?: string },
    giveUp: readonly string[],
  ): MqttSession {
    const { protocolVersion, cleanSession, keepAliveSeconds, receiveMaximum, messageBytesMax } = this.#broker
    return new MqttSession(Client, transport, {
      options: {
        ...login,
        protocolVersion,
        clean: cleanSession,
        keepalive: keepAliveSeconds,
        ...(protocolVersion === 5 ? { properties: { receiveMaximum, sessionExpiryInterval: this.#sessionExpirySeconds() } } : {}),
      },
      subscriptions: this.#subscriptions,
      giveUp,
      ids: this.#ids,
      receiveMaximum,
      messageBytesMax,
      take: (packet, done) => this.#take(packet, done),
      onTooLarge: (topic, bytes) =>
        this.#logger.error(
          { topic: topic.slice(0, 200), bytes, maxMessageSize: messageBytesMax },
          'a message is larger than maxMessageSize; it is acknowledged and lost',
        ),
    })
  }

  /** Without it a broker of MQTT 5 forgets the session with the connection. */
  #sessionExpirySeconds(): number {
    if (this.#broker.cleanSession) return 0
    return this.#broker.sessionExpirySeconds ?? 0xffff_ffff
  }

  #take(packet: PublishPacket, done: (error: Error | null) => void): void {
    const { sink } = this.#context
    const record = eventOf(packet, sink.events)
    if (packet.qos === 0 || this.#config.delivery === 'direct') {
      sink.invoke(record, null)
      return done(null)
    }
    sink.accept(record, (error) => {
      // It would be refused each time it comes.
      if (error === null || codeOf(error) !== 'record-too-large') return done(error)
      this.#logger.error(
        { topic: packet.topic.slice(0, 200), error: error.message },
        'a message cannot be kept; it is acknowledged and lost',
      )
      done(null)
    })
  }

  /** The same trouble is told once until a connection has been good. */
  #tell(url: string, what: string, error: unknown): void {
    const text = describeError(error)
    this.#connection = text.split('\n')[0]!
    if (`${what} ${text}` === this.#told) return
    this.#told = `${what} ${text}`
    this.#logger.warn({ url, error: text }, `${what}; trying again`)
  }
}

import type { IClientOptions, IClientPublishOptions, IConnackPacket, IDisconnectPacket, ISubscriptionMap, MqttClient } from 'mqtt'
import type { Duplex } from 'node:stream'
import { type DunlinError, ResourceError } from '../../runtime/base/errors.ts'
import type { InboundIds } from '../broker/inbound-ids.ts'
import { Acknowledger } from './mqtt-acknowledger.ts'
import { Copies } from './mqtt-copies.ts'
import { MqttLane } from './mqtt-lane.ts'
import type { PublishPacket } from './mqtt-publish-packet.ts'
import type { AskedSubscription } from './mqtt-subscriptions.ts'

/** From the first byte sent to the broker's answer to the subscriptions. */
const CONNECT_TIMEOUT_MS = 20_000
/** What is being committed when the trigger is stopped gets this long to be acknowledged. */
const FINISH_MS = 1_000
const REFUSED = 0x80
const DISCONNECT = Buffer.from([0xe0, 0])

export interface SessionParts {
  readonly options: IClientOptions & { readonly clientId: string; readonly protocolVersion: 4 | 5 }
  readonly subscriptions: readonly AskedSubscription[]
  /** Filters that the broker's session may still hold and must not. */
  readonly giveUp: readonly string[]
  readonly ids: InboundIds
  readonly receiveMaximum: number
  readonly messageBytesMax: number
  readonly take: (packet: PublishPacket, done: (error: Error | null) => void) => void
  /** A message of so many bytes was thrown away. */
  readonly onTooLarge: (topic: string, bytes: number) => void
}

/**
 * One connection to an outside broker, from handshake to its end; a new one is made for each try, and nothing is ever left in MQTT.js:
 * what a lost connection has not acknowledged comes again from the broker, which keeps the session.
 *
 * connecting -> subscribed -> finishing (nothing more is taken, what is committed is acknowledged) -> leaving (what was written goes out)
 * -> ended; any of them -> ended
 */
export class MqttSession {
  /** Resolves once, with what ended the connection. */
  readonly ended: Promise<DunlinError>
  /** Resolves when the broker has taken every subscription; rejects with what ended the connection before. */
  readonly subscribed: Promise<void>
  /** True when the connection was good for something. */
  hasCommitted = false
  readonly #parts: SessionParts
  readonly #client: MqttClient
  readonly #acknowledger: Acknowledger
  readonly #copies: Copies
  readonly #timer: NodeJS.Timeout
  readonly #waiting = new Set<(error: Error) => void>()
  #lane!: MqttLane
  #inFlight = 0
  #state: 'connecting' | 'subscribed' | 'finishing' | 'leaving' | 'ended' = 'connecting'
  #endedWith: DunlinError | undefined
  #resolveEnded!: (error: DunlinError) => void
  #resolveSubscribed!: () => void
  #rejectSubscribed!: (error: Error) => void

  constructor(Client: typeof MqttClient, transport: Duplex, parts: SessionParts) {
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve))
    this.subscribed = new Promise((resolve, reject) => {
      this.#resolveSubscribed = resolve
      this.#rejectSubscribed = reject
    })
    // What ends it is told by `ended` as well.
    this.subscribed.catch(() => {})
    this.#parts = parts
    this.#copies = new Copies(parts.subscriptions)
    const { clientId, protocolVersion } = parts.options
    this.#acknowledger = new Acknowledger({
      clientId,
      ids: parts.ids,
      messagesMax: parts.receiveMaximum,
      take: (packet, done) => this.#take(packet, done),
      write: (acks) => void this.#lane.write(acks),
      failed: (error) => this.#leave(lost(`Could not keep a message: ${error.message}`, error)),
      settled: () => this.#settled(),
    })
    this.#client = new Client(() => (this.#lane = this.#makeLane(transport, protocolVersion)), {
      ...parts.options,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      resubscribe: false,
      queueQoSZero: false,
    })
    this.#timer = setTimeout(() => this.#end(lost(`No answer from the broker in ${CONNECT_TIMEOUT_MS / 1000} s`)), CONNECT_TIMEOUT_MS)
    this.#client.on('error', (error) => this.#end(lost(error.message || 'The connection failed', error)))
    this.#client.on('close', () => this.#end(lost('The broker closed the connection')))
    this.#client.on('disconnect', ({ reasonCode, properties }: IDisconnectPacket) =>
      this.#end(
        lost(
          `The broker ended the connection: ${properties?.reasonString ?? DISCONNECT_REASONS[reasonCode ?? 0] ?? `reason ${reasonCode}`}`,
        ),
      ),
    )
    this.#client.on('connect', (connack) => void this.#subscribe(connack))
  }

  get isSubscribed(): boolean {
    return this.#state === 'subscribed'
  }

  /** Takes nothing more, acknowledges what is being committed, and takes its leave. Idempotent; `ended` tells when it is done. */
  finish(): void {
    if (this.#state !== 'connecting' && this.#state !== 'subscribed') return
    this.#state = 'finishing'
    this.#lane.holdBack()
    const stopped = lost('The trigger was stopped')
    if (this.#inFlight === 0) return this.#leave(stopped)
    setTimeout(() => this.#leave(stopped), FINISH_MS).unref()
  }

  /** Resolves at the broker's acknowledgement; rejects when it refuses or the connection ends before. */
  publish(topic: string, payload: Buffer, options: IClientPublishOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#state !== 'subscribed') return reject(this.#endedWith ?? lost('There is no connection to the broker'))
      this.#waiting.add(reject)
      this.#client.publish(topic, payload, options, (error) => {
        this.#waiting.delete(reject)
        if (error) reject(this.#state === 'subscribed' ? error : (this.#endedWith ?? lost('The connection ended')))
        else resolve()
      })
    })
  }

  #makeLane(transport: Duplex, version: 4 | 5): MqttLane {
    return new MqttLane(transport, version, this.#parts.messageBytesMax, {
      publish: (packet) => (this.#copies.isCopy(packet) ? this.#acknowledger.drop(packet) : this.#acknowledger.publish(packet)),
      release: (messageId) => this.#acknowledger.release(messageId),
      tooLarge: (packet, bytes) => {
        this.#parts.onTooLarge(packet.topic, bytes)
        this.#acknowledger.drop(packet)
      },
    })
  }

  /** Each time: a broker that lost its sessions would give nothing, and nobody would know. */
  async #subscribe({ sessionPresent, properties }: IConnackPacket): Promise<void> {
    const { subscriptions, giveUp, ids, options } = this.#parts
    // The broker's packet ids begin anew.
    if (!sessionPresent) ids.forget(options.clientId)
    try {
      if (sessionPresent && giveUp.length > 0) await this.#client.unsubscribeAsync([...giveUp])
      const hasIds = options.protocolVersion === 5 && properties?.subscriptionIdentifiersAvailable !== false
      const plain = subscriptions.filter(({ id }) => id === null || !hasIds)
      const requests = [
        this.#request(plain, null),
        ...subscriptions.filter((one) => !plain.includes(one)).map((one) => this.#request([one], one.id)),
      ]
      await Promise.all(requests)
    } catch (error) {
      return this.#end(lost(`The broker did not take the subscriptions: ${(error as Error).message}`, error))
    }
    if (this.#state !== 'connecting') return
    clearTimeout(this.#timer)
    this.#state = 'subscribed'
    this.#resolveSubscribed()
  }

  /** Rejects when the broker refuses one. MQTT 5 spares the retained messages of those that it had already. */
  async #request(subscriptions: readonly AskedSubscription[], id: number | null): Promise<void> {
    if (subscriptions.length === 0) return
    const filters: ISubscriptionMap = {}
    for (const { topic, qos } of subscriptions) filters[topic] = { qos, rh: topic.startsWith('$share/') ? 0 : 1 }
    const granted = await this.#client.subscribeAsync(
      filters,
      id === null ? undefined : { qos: 0, properties: { subscriptionIdentifier: id } },
    )
    const refused = granted.find(({ qos }) => Number(qos) >= REFUSED)
    if (refused) throw new ResourceError('mqtt-refused', `it refused "${refused.topic}" (reason ${refused.qos})`)
  }

  #take(packet: PublishPacket, done: (error: Error | null) => void): void {
    this.#inFlight++
    this.#parts.take(packet, (error) => {
      this.#inFlight--
      if (!error) this.hasCommitted = true
      done(error)
    })
    if (this.#acknowledger.isFull) this.#lane.holdBack()
  }

  #settled(): void {
    if (this.#state === 'finishing') {
      if (this.#inFlight === 0) this.#leave(lost('The trigger was stopped'))
    } else if (!this.#acknowledger.isHalfFull) this.#lane.goOn()
  }

  /** Ends the connection behind all that is still to be sent. */
  #leave(error: DunlinError): void {
    if (this.#state === 'leaving' || this.#state === 'ended') return
    this.#state = 'leaving'
    this.#endedWith = error
    this.#acknowledger.flush()
    this.#acknowledger.close()
    const cut = setTimeout(() => this.#end(error), FINISH_MS)
    this.#lane.end(DISCONNECT, () => {
      clearTimeout(cut)
      this.#end(error)
    })
  }

  #end(error: DunlinError): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    const reason = (this.#endedWith ??= error)
    clearTimeout(this.#timer)
    this.#acknowledger.close()
    this.#client.on('error', () => {})
    this.#client.end(true)
    this.#lane.destroy()
    for (const reject of this.#waiting) reject(reason)
    this.#waiting.clear()
    this.#rejectSubscribed(reason)
    this.#resolveEnded(reason)
  }
}

/** MQTT 5, table 2-6: those that a person can do something about. */
const DISCONNECT_REASONS: Readonly<Record<number, string>> = {
  135: 'not authorized',
  139: 'it is shutting down',
  141: 'it heard nothing for longer than the keep-alive',
  142: 'another client connected with the same client id',
  147: 'too many messages without acknowledgement',
  149: 'a packet was too large',
  151: 'a quota is used up',
  152: 'by administrative action',
}

function lost(message: string, cause?: unknown): DunlinError {
  return new ResourceError('mqtt-lost', message, { cause, retryable: true })
}

/**
 * The MQTT side that devices connect to: mutual TLS, and the device is who its certificate says, whatever the client id claims.
 * A device may publish its own three topics and read its own desired state; everything else is closed.
 *
 * The desired state is a retained message, renewed before a device is let in (so the hub's time in it is fresh) and on each change.
 */
import type { TlsOptions } from 'node:tls'
import { openBroker } from '../../adapters/broker/broker.ts'
import type { AuthVerdict, Broker, BrokerStats, ClientEvent, ConnectAttempt, Ingest, Verb } from '../../adapters/broker/contract.ts'
import type { BrokerConfig } from '../../config/agent-config.ts'
import type { HubLimits } from '../../config/hub-config.ts'
import type { Listen } from '../../config/listen.ts'
import { WIRE_PAYLOAD_BYTES_MAX, topics } from '../../config/wire.ts'
import { describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { GroupCommit } from '../ingest/group-commit.ts'
import type { Devices } from '../registry/devices.ts'
import type { Releases } from '../registry/releases.ts'

/** Topic, packet id and fixed header beside a payload of the largest size. */
const PACKET_OVERHEAD_BYTES = 1024
const KIB = 1024

export interface GatewayParts {
  readonly devices: Devices
  readonly releases: Releases
  readonly ingest: Ingest
  readonly commit: GroupCommit
  readonly tls: { readonly key: string; readonly chain: string; readonly ca: string }
  readonly logger: Logger
}

export class Gateway {
  readonly #parts: GatewayParts
  readonly #options: { readonly listen: Listen; readonly limits: HubLimits }
  #broker: Broker | undefined

  constructor(parts: GatewayParts, options: { listen: Listen; limits: HubLimits }) {
    this.#parts = parts
    this.#options = options
  }

  async open(): Promise<void> {
    const { listen, limits } = this.#options
    this.#broker = await openBroker({
      config: brokerConfig(listen, limits),
      listen,
      setting: 'gateway',
      tls: this.#tls(),
      authenticate: (attempt) => this.#authenticate(attempt),
      authorize,
      ingest: this.#parts.ingest,
      onClient: (event) => this.#onClient(event),
      logger: this.#parts.logger,
    })
  }

  get address(): Listen {
    return this.#broker!.address
  }

  stats(): BrokerStats {
    return this.#broker!.stats()
  }

  /** Sends the desired state; a device that is away gets it when it comes back. */
  async sendDesired(device: string): Promise<void> {
    await this.#broker?.publish(topics.desired(device), JSON.stringify(this.#parts.releases.desired(device)), { qos: 1, retain: true })
  }

  /** Ends the live session and removes what waits for the device. */
  async cut(device: string): Promise<void> {
    this.#broker?.disconnect(device, 'decommissioned')
    await this.#broker?.publish(topics.desired(device), '', { qos: 1, retain: true })
  }

  async close(): Promise<void> {
    await this.#broker?.close()
  }

  async #authenticate({ clientId, certificate }: ConnectAttempt): Promise<AuthVerdict> {
    try {
      const { id } = this.#parts.devices.authenticate(certificate)
      if (clientId !== id) return { refuse: `its certificate is of "${id}"`, returnCode: 2 }
      await this.sendDesired(id)
      return { identity: id }
    } catch (error) {
      return { refuse: describeError(error), returnCode: 5 }
    }
  }

  #onClient({ type, client }: ClientEvent): void {
    const { devices, commit } = this.#parts
    // A session that took over an older one is connected before the older one is gone.
    const isConnected = type === 'connected' || this.#broker!.clients().some(({ identity }) => identity === client.identity)
    commit.push({ bytes: 0, run: () => devices.setConnected(client.identity, isConnected), done: () => {} })
    this.#parts.logger.info({ device: client.identity, address: client.address }, type)
  }

  #tls(): TlsOptions {
    const { key, chain, ca } = this.#parts.tls
    return { key, cert: chain, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' }
  }
}

function authorize(identity: string, verb: Verb, topic: string): boolean {
  if (verb === 'subscribe') return topic === topics.desired(identity)
  return topic === topics.events(identity) || topic === topics.reported(identity) || topic === topics.logs(identity)
}

function brokerConfig(listen: Listen, limits: HubLimits): BrokerConfig {
  return {
    enabled: true,
    listen,
    tls: null,
    allowAnonymous: false,
    users: [],
    acl: [],
    limits: {
      connectBytesMax: 4 * KIB,
      packetBytesMax: WIRE_PAYLOAD_BYTES_MAX + PACKET_OVERHEAD_BYTES,
      connectTimeoutMs: 10_000,
      connectionsMax: limits.connectionsMax,
      connectionsPerAddressMax: limits.connectionsPerAddressMax,
      keepaliveMaxSeconds: 300,
      queuedPerClientMax: 100,
      queuedBytesPerClientMax: 4 * WIRE_PAYLOAD_BYTES_MAX,
      sessionsMax: limits.devicesMax,
      sessionExpiryMs: 60 * 60 * 1000,
      retainedMax: limits.devicesMax,
      retainedBytesMax: limits.devicesMax * 32 * KIB,
      subscriptionsPerClientMax: 4,
      topicLevelsMax: 8,
    },
  }
}

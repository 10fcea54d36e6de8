import type { ExecutionContext } from 'ava'
import { openBroker } from '../../adapters/broker/broker.ts'
import type { Broker, BrokerOptions, InboundMessage, Ingest } from '../../adapters/broker/contract.ts'
import type { BrokerConfig, BrokerLimits } from '../../config/agent-config.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { RawMqtt } from './raw-mqtt.ts'

export const brokerLimits: BrokerLimits = {
  connectBytesMax: 4096,
  packetBytesMax: 262_144,
  connectTimeoutMs: 5000,
  connectionsMax: 1000,
  connectionsPerAddressMax: 100,
  keepaliveMaxSeconds: 300,
  queuedPerClientMax: 1000,
  queuedBytesPerClientMax: 1024 * 1024,
  sessionsMax: 1000,
  sessionExpiryMs: 86_400_000,
  retainedMax: 10_000,
  retainedBytesMax: 16 * 1024 * 1024,
  subscriptionsPerClientMax: 100,
  topicLevelsMax: 32,
}

export function brokerConfig(config: Partial<BrokerConfig> = {}, limits: Partial<BrokerLimits> = {}): BrokerConfig {
  return {
    enabled: true,
    listen: { host: '127.0.0.1', port: 0 },
    tls: null,
    allowAnonymous: 'loopback',
    users: [],
    acl: [],
    ...config,
    limits: { ...brokerLimits, ...limits },
  }
}

/** Takes everything at once, or holds it until the test lets it go. */
export class FakeIngest implements Ingest {
  readonly messages: (Omit<InboundMessage, 'payload'> & { payload: string })[] = []
  readonly held: ((error: Error | null) => void)[] = []
  isHolding = false
  #waiting: { count: number; resolve: () => void }[] = []

  publish(message: InboundMessage, done: (error: Error | null) => void): void {
    this.messages.push({ ...message, payload: message.payload.toString() })
    if (this.isHolding) this.held.push(done)
    else setImmediate(done, null)
    this.#waiting = this.#waiting.filter(({ count, resolve }) => this.messages.length < count || resolve())
  }

  get payloads(): string[] {
    return this.messages.map(({ payload }) => payload)
  }

  has(count: number): Promise<void> {
    if (this.messages.length >= count) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ count, resolve }))
  }

  release(count: number, error: Error | null = null): void {
    for (const done of this.held.splice(0, count)) done(error)
  }
}

export interface BrokerTest {
  readonly broker: Broker
  readonly ingest: FakeIngest
  /** A raw client, connected unless `connect` is false. */
  readonly client: (options?: {
    id?: string
    clean?: boolean
    username?: string
    password?: string
    keepalive?: number
    connect?: boolean
  }) => Promise<RawMqtt>
}

/** Runs a broker for one test and leaves nothing open. */
export async function withBroker(
  t: ExecutionContext,
  options: Partial<Omit<BrokerOptions, 'ingest'>> & { ingest?: FakeIngest },
  run: (test: BrokerTest) => Promise<void>,
): Promise<void> {
  const ingest = options.ingest ?? new FakeIngest()
  const broker = await openBroker({ config: brokerConfig(), logger: silentLogger, ...options, ingest })
  const clients: RawMqtt[] = []
  t.teardown(async () => {
    for (const client of clients) client.destroy()
    await broker.close()
  })
  const client: BrokerTest['client'] = async ({ connect = true, ...rest } = {}) => {
    const raw = await RawMqtt.open(broker.address.port)
    clients.push(raw)
    if (connect) {
      raw.send(RawMqtt.connect({ id: `client-${clients.length}`, ...rest }))
      t.is((await raw.next()).type, 2)
    }
    return raw
  }
  await run({ broker, ingest, client })
}

/**
 * One MQTT connection to the hub, from handshake to its end; a new one is made for each try. MQTT.js keeps what it could not
 * send without bound, so nothing is given to it unless it is connected, and after the end it is thrown away with all it holds:
 * the store is the only buffer.
 */
import type { IClientOptions, MqttClient } from 'mqtt'
import net from 'node:net'
import { topics } from '../../config/wire.ts'
import { type DunlinError, ResourceError } from '../../runtime/base/errors.ts'
import type { Identity } from '../identity/identity.ts'
import { connectionError } from './hub-https.ts'

const CONNECT_TIMEOUT_MS = 20_000
const KEEPALIVE_SECONDS = 30

export type DeviceIdentity = Pick<Identity, 'device' | 'certificate' | 'key' | 'ca' | 'gateway'>

export class HubSession {
  /** Resolves once, with what ended the connection. */
  readonly ended: Promise<DunlinError>
  readonly #client: MqttClient
  readonly #waiting = new Set<(error: DunlinError) => void>()
  #end!: (error: DunlinError) => void
  #endedWith: DunlinError | undefined

  private constructor(client: MqttClient, url: string) {
    this.#client = client
    this.ended = new Promise((resolve) => (this.#end = resolve))
    client.on('error', (error: Error) => this.#finish(connectionError(url, error)))
    client.on('close', () => this.#finish(new ResourceError('link-lost', 'Lost the connection to the hub', { retryable: true })))
  }

  /** Resolves when the hub has accepted the device and its subscription. */
  static async open(identity: DeviceIdentity, onDesired: (payload: Buffer) => void, signal: AbortSignal): Promise<HubSession> {
    const { connect } = await import('mqtt')
    signal.throwIfAborted()
    const { device, gateway } = identity
    const options: IClientOptions & { noDelay: boolean } = {
      protocol: 'mqtts',
      host: gateway.host,
      port: gateway.port,
      servername: net.isIP(gateway.host) === 0 ? gateway.host : undefined,
      ca: identity.ca,
      cert: identity.certificate,
      key: identity.key,
      clientId: device,
      protocolVersion: 4,
      clean: true,
      keepalive: KEEPALIVE_SECONDS,
      reconnectPeriod: 0,
      connectTimeout: CONNECT_TIMEOUT_MS,
      queueQoSZero: false,
      resubscribe: false,
      // Without it each small packet behind another waits 40 ms for the peer's delayed ACK.
      noDelay: true,
    }
    const client = connect(options)
    const session = new HubSession(client, `mqtts://${gateway.host}:${gateway.port}`)
    client.on('message', (topic, payload) => {
      if (topic === topics.desired(device)) onDesired(payload)
    })
    const onAbort = () => session.#finish(abortError(signal))
    signal.addEventListener('abort', onAbort, { once: true })
    const timer = setTimeout(() => session.#finish(timeoutError(gateway)), CONNECT_TIMEOUT_MS)
    try {
      await session.#step((done) => client.once('connect', () => done()))
      await session.#step((done) => client.subscribe(topics.desired(device), { qos: 1 }, done))
      return session
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Resolves at the hub's PUBACK; rejects with what ended the connection before that. */
  publish(topic: string, payload: string | Buffer): Promise<void> {
    return this.#step((done) => this.#client.publish(topic, payload, { qos: 1 }, done))
  }

  /** Ends the connection; idempotent. */
  end(): void {
    this.#finish(new ResourceError('link-stopped', 'The link to the hub was stopped', { retryable: true }))
  }

  /** Runs one exchange with the peer; the end of the connection rejects it, whatever MQTT.js does with its callback. */
  #step(start: (done: (error?: Error | null) => void) => void): Promise<void> {
    if (this.#endedWith) return Promise.reject(this.#endedWith)
    return new Promise((resolve, reject) => {
      this.#waiting.add(reject)
      start((error) => {
        this.#waiting.delete(reject)
        if (error)
          reject(
            this.#endedWith ??
              new ResourceError('link-lost', `The hub did not take it: ${error.message}`, { cause: error, retryable: true }),
          )
        else resolve()
      })
    })
  }

  #finish(error: DunlinError): void {
    if (this.#endedWith) return
    this.#endedWith = error
    for (const reject of this.#waiting) reject(error)
    this.#waiting.clear()
    this.#client.on('error', () => {})
    this.#client.end(true)
    this.#end(error)
  }
}

function abortError(signal: AbortSignal): DunlinError {
  return new ResourceError('link-stopped', 'The link to the hub was stopped', { cause: signal.reason, retryable: true })
}

function timeoutError({ host, port }: Identity['gateway']): DunlinError {
  return new ResourceError('hub-silent', `No answer from the hub at ${host}:${port} in ${CONNECT_TIMEOUT_MS} ms`, { retryable: true })
}

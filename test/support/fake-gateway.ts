/** A real aedes over TLS with client certificates in the hub's place. The test decides what becomes of each message. */
import { Aedes, type Client, type PublishPacket } from 'aedes'
import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import tls from 'node:tls'
import { topics } from '../../config/wire.ts'
import { decodeFrame } from '../../runtime/event/frame.ts'
import { AT, Flag } from '../../runtime/event/record.ts'
import type { DeviceIdentity } from '../../agent/link/hub-session.ts'
import { TestCa, type TestCertificate } from './test-ca.ts'

export interface SeenRow {
  readonly stream: string
  readonly seq: number
  readonly replayed: boolean
}

export class FakeGateway {
  readonly ca: TestCa
  port = 0
  connections = 0
  /** Rows of every frame that came, in order, also of those that were refused. */
  readonly rows: SeenRow[] = []
  readonly messages: { topic: string; payload: Buffer }[] = []
  /** Resolves: PUBACK. Rejects: the connection is cut without one. */
  take: (topic: string, payload: Buffer) => Promise<void> = () => Promise.resolve()
  #changed: (() => void)[] = []
  readonly #certificate: TestCertificate
  readonly #sockets = new Set<Socket>()
  #broker: Aedes | undefined
  #server: tls.Server | undefined

  private constructor(ca: TestCa, certificate: TestCertificate) {
    this.ca = ca
    this.#certificate = certificate
  }

  static async open(t: { teardown(fn: () => unknown): void }): Promise<FakeGateway> {
    const ca = await TestCa.make()
    const gateway = new FakeGateway(ca, await ca.server())
    await gateway.start()
    t.teardown(() => gateway.stop())
    return gateway
  }

  async device(name = 'board-1'): Promise<DeviceIdentity> {
    return { device: name, ...(await this.ca.device(name)), ca: this.ca.certificate, gateway: { host: '127.0.0.1', port: this.port } }
  }

  async start(): Promise<void> {
    const broker = await Aedes.createBroker()
    broker.authorizePublish = (client, packet, done) => void this.#receive(client, packet, done)
    broker.on('client', () => {
      this.connections++
      this.#tell()
    })
    const { certificate: cert, key } = this.#certificate
    const server = tls.createServer({ cert, key, ca: this.ca.certificate, requestCert: true, rejectUnauthorized: true }, (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => {})
      broker.handle(socket)
    })
    server.listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.port = (server.address() as AddressInfo).port
    this.#broker = broker
    this.#server = server
  }

  /** Ends as a crash does: connections reset, nothing said. */
  async stop(): Promise<void> {
    const server = this.#server
    if (!server) return
    this.#server = undefined
    server.close()
    this.cut()
    await once(server, 'close')
    await new Promise<void>((resolve) => this.#broker!.close(() => resolve()))
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  sendDesired(device: string, desired: unknown): void {
    const payload = typeof desired === 'string' ? desired : JSON.stringify(desired)
    this.#broker!.publish({ cmd: 'publish', topic: topics.desired(device), payload, qos: 1, retain: false, dup: false }, () => {})
  }

  /** Resolves as soon as `condition` holds; asked again after everything that comes. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#changed.push(resolve))
  }

  async #receive(client: Client | null, packet: PublishPacket, done: (error?: Error | null) => void): Promise<void> {
    // Broker's own messages ($SYS and what sendDesired publishes) have no client.
    if (!client) return done()
    const payload = Buffer.from(packet.payload)
    this.messages.push({ topic: packet.topic, payload })
    if (packet.topic.endsWith('/events')) this.rows.push(...seenRows(payload))
    this.#tell()
    try {
      await this.take(packet.topic, payload)
      done()
    } catch {
      client.conn.destroy()
    }
    this.#tell()
  }

  #tell(): void {
    const waiting = this.#changed
    this.#changed = []
    for (const resolve of waiting) resolve()
  }
}

function seenRows(payload: Buffer): SeenRow[] {
  const { stream, rows } = decodeFrame(payload)
  return rows.map(({ seq, record }) => ({ stream, seq, replayed: (record[AT.flags]! & Flag.replayed) !== 0 }))
}

import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'
import type { AedesClient, AedesConnectPacket } from './aedes-internals.ts'
import type { ClientInfo, ConnectAttempt } from './contract.ts'
import { FrameGuard, PacketType, type FrameLimits } from './frame-guard.ts'
import type { InFlightBudget } from './in-flight-budget.ts'
import { isLoopback } from './names.ts'
import { checkConnect, checkControl, readPublish, type PublishPacket } from './packet-checks.ts'
import type { PublishLane } from './publish-lane.ts'

/** Packets other than PUBLISH that aedes may have open for one client. */
const CONTROLS_MAX = 256
/** For the answer to a CONNECT: passwords are checked one after the other. */
const LOGIN_TIMEOUT_MS = 30_000
/** Topics remembered as allowed, per client. */
const ALLOWED_MAX = 256

export interface ConnectionParts {
  readonly socket: Socket | TLSSocket
  readonly address: string
  readonly limits: FrameLimits & { readonly connectTimeoutMs: number }
  readonly budget: InFlightBudget
  /** Makes the aedes client once a sound CONNECT is there. */
  open(connection: Connection, done: (error?: Error | null) => void): AedesClient
  mayPublish(connection: Connection, packet: PublishPacket): boolean
  /** A PUBREL for a message that is still on its way into the ingest. */
  isPubrelEarly(connection: Connection, messageId: number): boolean
  /** The client is being closed for a fault of its own. */
  onFault(connection: Connection, reason: EndReason): void
  /** The connection is closed. */
  onEnd(connection: Connection, reason: EndReason): void
}

export interface EndReason {
  /** What to count: null when it is nobody's fault. */
  readonly fault: 'malformed' | 'oversized' | 'timeout' | 'denied' | null
  readonly text: string
}

/**
 * One client's connection. Modes: `waiting` (nothing but a CONNECT in time) -> `asking` (CONNECT handed to aedes; the client is not read
 * from until it is let in) -> `open` (PUBLISH goes to the lane, everything else to aedes) -> `ended`. Whatever is wrong ends the connection.
 */
export class Connection {
  readonly #parts: ConnectionParts
  readonly #guard: FrameGuard
  #mode: 'waiting' | 'asking' | 'open' | 'ended' = 'waiting'
  #timer: NodeJS.Timeout
  #client: AedesClient | null = null
  #lane: PublishLane | null = null
  #reason: EndReason = { fault: null, text: 'connection closed' }
  /** Topics the client may publish to, by earlier answers. */
  readonly #allowed = new Set<string>()
  readonly #wake = () => this.readOn()
  /** What aedes read from the CONNECT. */
  connect: AedesConnectPacket | null = null
  /** Set when the client is let in. */
  info: ClientInfo | null = null
  /** Filters the client was granted. */
  readonly filters = new Set<string>()

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.#guard = new FrameGuard(parts.limits, (packet, bodyAt) => this.#onPacket(packet, bodyAt))
    this.#timer = setTimeout(() => this.end({ fault: 'timeout', text: 'no CONNECT in time' }), parts.limits.connectTimeoutMs)
  }

  get client(): AedesClient | null {
    return this.#client
  }

  get lane(): PublishLane | null {
    return this.#lane
  }

  get hasEnded(): boolean {
    return this.#mode === 'ended'
  }

  start(): void {
    const { socket } = this.#parts
    socket.on('error', (error) => (this.#reason = { fault: null, text: error.message }))
    socket.once('close', () => this.#onClose())
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
  }

  attempt(): ConnectAttempt {
    const { address, socket } = this.#parts
    const { clientId, clean, username, password } = this.connect!
    return {
      clientId: clientId === '' ? this.#client!.id! : clientId,
      cleanSession: clean,
      username: username ?? null,
      password: password ?? null,
      address,
      isLoopback: isLoopback(address),
      certificate: verifiedCertificate(socket),
    }
  }

  /** CONNACK is out: from now on the client is read from. */
  admit(lane: PublishLane): void {
    if (this.#mode !== 'asking') return
    clearTimeout(this.#timer)
    this.#lane = lane
    this.#mode = 'open'
    this.#guarded(() => this.#guard.resume())
    if (!this.hasEnded) this.#parts.socket.resume()
  }

  write(bytes: Buffer): void {
    if (this.hasEnded || this.#parts.socket.destroyed) return
    if (!this.#parts.socket.write(bytes)) {
      // The client does not take its acknowledgements: it is not read from until it does. aedes' drain time-out runs meanwhile.
      this.#parts.socket.pause()
      this.#client?.waitForDrain(() => this.readOn())
    }
  }

  /** Reads on if there is room again. */
  readOn(): void {
    const { socket, budget } = this.#parts
    if (this.#mode !== 'open' || !socket.isPaused()) return
    if (this.#lane!.isHalfFull || this.#client!._parsingBatch > CONTROLS_MAX / 2 || socket.writableNeedDrain) return
    if (budget.isFull) budget.onRoom(this.#wake)
    else socket.resume()
  }

  /** Idempotent. Anything but a DISCONNECT from the client ends here; its will is published. */
  end(reason: EndReason): void {
    if (this.hasEnded) return
    this.#mode = 'ended'
    this.#reason = reason
    this.#lane?.close()
    if (reason.fault !== null) this.#parts.onFault(this, reason)
    this.#parts.socket.destroy()
  }

  #onData(chunk: Buffer): void {
    this.#client?._keepaliveTimer?.refresh()
    this.#guarded(() => this.#guard.push(chunk))
    // aedes touches the socket's listeners while it is asked, which makes Node read on: pause again.
    if (this.#mode === 'asking') this.#parts.socket.pause()
    if (this.#mode === 'open' && this.#isFull) {
      this.#parts.socket.pause()
      // Room may have come back inside this very call.
      this.readOn()
    }
  }

  get #isFull(): boolean {
    return this.#lane!.isFull || this.#client!._parsingBatch > CONTROLS_MAX || this.#parts.budget.isFull
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      const isLarge = error instanceof Error && 'code' in error && error.code === 'packet-too-large'
      this.end({ fault: isLarge ? 'oversized' : 'malformed', text: error instanceof Error ? error.message : String(error) })
    }
  }

  #onPacket(packet: Buffer, bodyAt: number): boolean {
    if (this.#mode === 'waiting') return this.#onConnect(packet, bodyAt)
    if (this.#mode !== 'open') return false
    if (packet[0]! >> 4 === PacketType.publish) this.#onPublish(readPublish(packet, bodyAt))
    else this.#onControl(packet, bodyAt)
    return !this.hasEnded
  }

  #onConnect(packet: Buffer, bodyAt: number): boolean {
    const level = checkConnect(packet, bodyAt)
    clearTimeout(this.#timer)
    if (level !== 3 && level !== 4) {
      this.#mode = 'asking'
      const { socket } = this.#parts
      // MQTT 5 knows this answer as reason 0x84, everything else as return code 1 [MQTT-3.1.2-2].
      const answer = Buffer.from(level === 5 ? [0x20, 3, 0, 0x84, 0] : [0x20, 2, 0, 1])
      socket.end(answer, () => this.end({ fault: 'malformed', text: `protocol level ${level} is not supported` }))
      socket.pause()
      return false
    }
    this.#mode = 'asking'
    this.#timer = setTimeout(() => this.end({ fault: 'timeout', text: 'no answer to the login in time' }), LOGIN_TIMEOUT_MS)
    this.#client = this.#parts.open(this, (error) => this.#onControlDone(error))
    this.#parts.socket.pause()
    this.#client._parser.parse(packet)
    return false
  }

  #onPublish(packet: PublishPacket): void {
    if (!this.#allowed.has(packet.topic)) {
      if (!this.#parts.mayPublish(this, packet)) return this.end({ fault: 'denied', text: `publish to "${packet.topic}" denied` })
      if (this.#allowed.size < ALLOWED_MAX) this.#allowed.add(packet.topic)
    }
    this.#lane!.take(packet)
  }

  #onControl(packet: Buffer, bodyAt: number): void {
    checkControl(packet, bodyAt)
    if (packet[0]! >> 4 === PacketType.pubrel && this.#parts.isPubrelEarly(this, packet.readUInt16BE(bodyAt))) {
      return this.end({ fault: 'malformed', text: 'PUBREL before PUBREC' })
    }
    // What came before is answered before.
    this.#lane!.flush()
    this.#client!._parser.parse(packet)
  }

  #onControlDone(error?: Error | null): void {
    const client = this.#client
    if (client === null || this.hasEnded) return
    if (error) {
      this.#reason = { fault: null, text: error.message }
      client.emit('error', error)
      return
    }
    if (client._parsingBatch > 0) client._parsingBatch--
    this.readOn()
  }

  #onClose(): void {
    clearTimeout(this.#timer)
    this.#mode = 'ended'
    this.#lane?.close()
    this.#parts.budget.cancel(this.#wake)
    this.#parts.onEnd(this, this.#reason)
  }
}

function verifiedCertificate(socket: Socket | TLSSocket): PeerCertificate | null {
  if (!('getPeerCertificate' in socket) || !socket.authorized) return null
  const certificate = socket.getPeerCertificate()
  return Object.keys(certificate).length === 0 ? null : certificate
}

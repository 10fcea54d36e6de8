import { ProtocolError } from '../../runtime/base/errors.ts'

/** MQTT 3.1.1 packet types. */
export const PacketType = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const

export interface FrameLimits {
  readonly connectBytesMax: number
  readonly packetBytesMax: number
}

/** Takes one whole packet: `packet` is a view, `bodyAt` where its variable header begins. Returns false to take no more: what follows is held until resume(). */
export type OnPacket = (packet: Buffer, bodyAt: number) => boolean

const LENGTH_BYTES_MAX = 4
/** Two chunks of a socket. */
const HELD_BYTES_MAX = 128 * 1024
const EMPTY = Buffer.alloc(0)

/**
 * Cuts a client's bytes into packets and looks at each fixed header before anything of the body is kept: type, reserved bits,
 * length encoding, length limit, and CONNECT first and only first. Throws ProtocolError ('malformed-packet', 'packet-too-large');
 * the caller closes the connection. A packet inside one chunk is passed on as a view; only one that spans chunks is copied, once.
 */
export class FrameGuard {
  readonly #limits: FrameLimits
  readonly #onPacket: OnPacket
  #isFirst = true
  /** Bytes of a fixed header that has not arrived whole, or a whole packet's buffer that is being filled. */
  #partial: Buffer = EMPTY
  #filled = 0
  #bodyAt = 0
  #isFilling = false
  #isHolding = false
  #held: Buffer = EMPTY

  constructor(limits: FrameLimits, onPacket: OnPacket) {
    this.#limits = limits
    this.#onPacket = onPacket
  }

  /** Whether a packet has begun and not ended. */
  get isInside(): boolean {
    return this.#isFilling || this.#partial.length > 0
  }

  push(chunk: Buffer): void {
    if (this.#isHolding) return this.#hold(chunk)
    let at = 0
    if (this.#isFilling) {
      at = this.#fill(chunk)
      if (this.#isFilling) return
      const packet = this.#take()
      if (!this.#onPacket(packet, this.#bodyAt)) return this.#hold(chunk.subarray(at))
    } else if (this.#partial.length > 0) {
      chunk = Buffer.concat([this.#partial, chunk])
      this.#partial = EMPTY
    }
    this.#cut(chunk, at)
  }

  resume(): void {
    const held = this.#held
    this.#held = EMPTY
    this.#isHolding = false
    if (held.length > 0) this.#cut(held, 0)
  }

  /** The caller has paused the socket: little more than one chunk comes. */
  #hold(rest: Buffer): void {
    this.#isHolding = true
    this.#held = this.#held.length === 0 ? rest : Buffer.concat([this.#held, rest])
    if (this.#held.length > HELD_BYTES_MAX) throw malformed('too many bytes before the answer to CONNECT')
  }

  #cut(chunk: Buffer, at: number): void {
    while (at < chunk.length) {
      this.#checkType(chunk[at]!)
      let length = 0
      let bytes = 0
      for (;;) {
        const next = chunk[at + 1 + bytes]
        if (next === undefined) {
          this.#partial = Buffer.from(chunk.subarray(at))
          return
        }
        length += (next & 0x7f) * 2 ** (7 * bytes)
        bytes++
        if (next < 0x80) break
        if (bytes === LENGTH_BYTES_MAX) throw malformed('the remaining length has more than 4 bytes')
        // The length so far is a lower bound: no need to wait for the rest of a hopeless one.
        this.#checkLength(length)
      }
      this.#checkLength(length)
      const bodyAt = 1 + bytes
      const end = at + bodyAt + length
      if (end > chunk.length) {
        this.#bodyAt = bodyAt
        this.#partial = Buffer.allocUnsafe(bodyAt + length)
        this.#filled = chunk.copy(this.#partial, 0, at)
        this.#isFilling = true
        return
      }
      this.#isFirst = false
      const packet = chunk.subarray(at, end)
      at = end
      if (!this.#onPacket(packet, bodyAt)) return this.#hold(chunk.subarray(at))
    }
  }

  #fill(chunk: Buffer): number {
    const taken = chunk.copy(this.#partial, this.#filled, 0, this.#partial.length - this.#filled)
    this.#filled += taken
    this.#isFilling = this.#filled < this.#partial.length
    return taken
  }

  #take(): Buffer {
    const packet = this.#partial
    this.#partial = EMPTY
    this.#isFirst = false
    return packet
  }

  #checkType(header: number): void {
    const type = header >> 4
    const flags = header & 0x0f
    if (this.#isFirst !== (type === PacketType.connect)) {
      throw malformed(this.#isFirst ? `the first packet is of type ${type}, not CONNECT` : 'a second CONNECT')
    }
    switch (type) {
      case PacketType.publish:
        if ((flags & 0x06) === 0x06) throw malformed('PUBLISH with QoS 3')
        if ((flags & 0x0e) === 0x08) throw malformed('PUBLISH with QoS 0 and the DUP flag')
        return
      case PacketType.pubrel:
      case PacketType.subscribe:
      case PacketType.unsubscribe:
        if (flags !== 2) throw malformed(`flags ${flags} on a packet of type ${type}`)
        return
      case PacketType.connect:
      case PacketType.puback:
      case PacketType.pubrec:
      case PacketType.pubcomp:
      case PacketType.pingreq:
      case PacketType.disconnect:
        if (flags !== 0) throw malformed(`flags ${flags} on a packet of type ${type}`)
        return
      default:
        throw malformed(`a packet of type ${type} from a client`)
    }
  }

  #checkLength(length: number): void {
    const max = this.#isFirst ? this.#limits.connectBytesMax : this.#limits.packetBytesMax
    if (length > max) throw new ProtocolError('packet-too-large', `Close connection: packet has at least ${length} bytes, allowed ${max}`)
  }
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('malformed-packet', `Close connection: ${what}`)
}

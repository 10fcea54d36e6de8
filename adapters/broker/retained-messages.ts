import type { AedesPacket } from './aedes-internals.ts'
import { covers } from '../../config/topic-filter.ts'

export interface RetainedLimits {
  readonly messagesMax: number
  readonly bytesMax: number
}

/** The last retained message of each topic, in memory. Over a limit a new one is refused; what is there stays. */
export class RetainedMessages {
  readonly #limits: RetainedLimits
  readonly #packets = new Map<string, AedesPacket>()
  #bytes = 0

  constructor(limits: RetainedLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#packets.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** An empty payload clears the topic [MQTT-3.3.1-10]. False: refused. The payload is copied: it would pin the socket's whole chunk. */
  store(packet: AedesPacket): boolean {
    const old = this.#packets.get(packet.topic)
    const oldBytes = old === undefined ? 0 : sizeOf(old)
    if (packet.payload.length === 0) {
      this.#packets.delete(packet.topic)
      this.#bytes -= oldBytes
      return true
    }
    const bytes = sizeOf(packet)
    if (this.#bytes - oldBytes + bytes > this.#limits.bytesMax) return false
    if (old === undefined && this.#packets.size >= this.#limits.messagesMax) return false
    this.#packets.set(packet.topic, { ...packet, payload: Buffer.from(packet.payload as Buffer) })
    this.#bytes += bytes - oldBytes
    return true
  }

  /** Each retained message once, whichever and however many of the filters match it. */
  *match(filters: readonly string[]): Generator<AedesPacket> {
    const patterns = filters.map((filter) => filter.split('/'))
    for (const [topic, packet] of this.#packets) {
      const levels = topic.split('/')
      if (patterns.some((pattern) => !(topic.startsWith('$') && isWildcard(pattern[0]!)) && covers(pattern, levels))) yield packet
    }
  }
}

function isWildcard(level: string): boolean {
  return level === '#' || level === '+'
}

function sizeOf(packet: AedesPacket): number {
  return packet.topic.length + packet.payload.length
}

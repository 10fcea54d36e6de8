import { isUtf8 } from 'node:buffer'
import { ProtocolError } from '../../runtime/base/errors.ts'
import { PacketType } from './frame-guard.ts'

/** A PUBLISH as it came; `payload` is a view. `messageId` is 0 at QoS 0. */
export interface PublishPacket {
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  readonly messageId: number
}

/** Reads a PUBLISH or throws. The topic's characters are checked, its levels and permission are not. */
export function readPublish(packet: Buffer, bodyAt: number): PublishPacket {
  const flags = packet[0]!
  const qos = ((flags >> 1) & 3) as 0 | 1 | 2
  const topicAt = bodyAt + 2
  const topicEnd = packet.length < topicAt ? Infinity : topicAt + packet.readUInt16BE(bodyAt)
  const payloadAt = qos === 0 ? topicEnd : topicEnd + 2
  if (payloadAt > packet.length) throw malformed('a PUBLISH that ends inside its topic or message id')
  const messageId = qos === 0 ? 0 : packet.readUInt16BE(topicEnd)
  if (qos > 0 && messageId === 0) throw malformed('a PUBLISH with message id 0')
  const topic = packet.toString('utf8', topicAt, topicEnd)
  const fault = topicNameFault(topic)
  if (fault !== null || (topic.includes('\ufffd') && !isUtf8(packet.subarray(topicAt, topicEnd)))) {
    throw malformed(`a PUBLISH whose topic ${fault ?? 'is not valid UTF-8'}`)
  }
  return { topic, payload: packet.subarray(payloadAt), qos, retain: (flags & 1) === 1, messageId }
}

export function topicNameFault(topic: string): string | null {
  if (topic === '') return 'is empty'
  // eslint-disable-next-line no-control-regex
  return /[+#\u0000]/.test(topic) ? 'holds a wildcard or NUL' : null
}

/** The protocol level of a CONNECT: 3 (MQTT 3.1), 4 (3.1.1), 5, or anything. Throws when the packet is not a sound CONNECT of level 3 or 4. */
export function checkConnect(packet: Buffer, bodyAt: number): number {
  const fields = new Fields(packet, bodyAt)
  const name = fields.text()
  // Bridges set the top bit of the level.
  const level = fields.byte() & 0x7f
  if (name !== 'MQTT' && name !== 'MQIsdp') throw malformed('a CONNECT of another protocol')
  if (level !== 3 && level !== 4) return level
  const flags = fields.byte()
  const has = (bit: number) => (flags & bit) !== 0
  if (has(0x01)) throw malformed('a CONNECT with its reserved flag set')
  if ((flags & 0x18) === 0x18) throw malformed('a CONNECT with will QoS 3')
  if (!has(0x04) && (flags & 0x38) !== 0) throw malformed('a CONNECT with will flags but no will')
  if (has(0x40) && !has(0x80)) throw malformed('a CONNECT with a password but no user name')
  fields.skip(2)
  fields.text()
  if (has(0x04)) {
    const fault = topicNameFault(fields.text())
    if (fault !== null) throw malformed(`a CONNECT whose will topic ${fault}`)
    fields.skip(fields.length())
  }
  if (has(0x80)) fields.text()
  if (has(0x40)) fields.skip(fields.length())
  if (!fields.isAtEnd) throw malformed('a CONNECT with bytes after its end')
  return level
}

/** Every other packet from a client: lengths, message id, UTF-8 of the filters. */
export function checkControl(packet: Buffer, bodyAt: number): void {
  const type = packet[0]! >> 4
  const length = packet.length - bodyAt
  if (type === PacketType.pingreq || type === PacketType.disconnect) {
    if (length !== 0) throw malformed(`a packet of type ${type} with a body`)
    return
  }
  const fields = new Fields(packet, bodyAt)
  if (fields.length() === 0) throw malformed(`a packet of type ${type} with message id 0`)
  if (type !== PacketType.subscribe && type !== PacketType.unsubscribe) {
    if (length !== 2) throw malformed(`a packet of type ${type} with ${length} bytes`)
    return
  }
  if (fields.isAtEnd) throw malformed(`a packet of type ${type} without a filter`)
  while (!fields.isAtEnd) {
    const fault = filterFault(fields.text())
    if (fault !== null) throw malformed(`a filter that ${fault}`)
    if (type === PacketType.subscribe && fields.byte() > 2) throw malformed('a SUBSCRIBE with QoS 3 or reserved bits')
  }
}

function filterFault(filter: string): string | null {
  if (filter === '') return 'is empty'
  const levels = filter.split('/')
  for (const [index, level] of levels.entries()) {
    if (level.includes('#') && (level !== '#' || index < levels.length - 1)) return 'has "#" inside'
    if (level.includes('+') && level !== '+') return 'has "+" beside other characters'
  }
  return null
}

/** Reads fields one after the other; over the end is malformed. */
class Fields {
  readonly #packet: Buffer
  #at: number

  constructor(packet: Buffer, at: number) {
    this.#packet = packet
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.#at === this.#packet.length
  }

  skip(bytes: number): number {
    const from = this.#at
    this.#at += bytes
    if (this.#at > this.#packet.length) throw malformed('a packet that ends inside a field')
    return from
  }

  byte(): number {
    return this.#packet[this.skip(1)]!
  }

  /** Two bytes, big-endian: a length or a message id. */
  length(): number {
    return this.#packet.readUInt16BE(this.skip(2))
  }

  /** A string [MQTT-1.5.3-1, -2]: valid UTF-8 without NUL. */
  text(): string {
    const bytes = this.length()
    const from = this.skip(bytes)
    const raw = this.#packet.subarray(from, from + bytes)
    if (!isUtf8(raw) || raw.includes(0)) throw malformed('a string that is not valid UTF-8 or holds NUL')
    return raw.toString('utf8')
  }
}

function malformed(what: string): ProtocolError {
  return new ProtocolError('malformed-packet', `Close connection: ${what}`)
}

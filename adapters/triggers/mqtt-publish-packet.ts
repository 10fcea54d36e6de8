/**
 * Reads the PUBLISH packets of a broker (MQTT 3.1.1 section 3.3, MQTT 5 section 3.3). The broker is not trusted: every length is checked
 * against the packet's, and a packet that breaks the protocol throws 'mqtt-malformed'.
 */
import { ProtocolError } from '../../runtime/base/errors.ts'

export interface PublishPacket {
  readonly topic: string
  /** A view into the received bytes: copy it to keep it. */
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
  /** The broker has sent it before. */
  readonly dup: boolean
  /** 0 with QoS 0. */
  readonly messageId: number
  readonly properties: PublishProperties
}

/** Of MQTT 5; empty in MQTT 3.1.1. */
export interface PublishProperties {
  readonly contentType?: string
  readonly responseTopic?: string
  readonly correlationData?: Buffer
  readonly user: readonly (readonly [string, string])[]
  readonly subscriptionIds: readonly number[]
}

const NONE: PublishProperties = { user: [], subscriptionIds: [] }
const USER_PROPERTIES_MAX = 256
const decoder = new TextDecoder('utf-8', { fatal: true })

/** `body` is what stands behind the fixed header, whose first byte is `first`. */
export function readPublish(first: number, body: Buffer, version: 4 | 5): PublishPacket {
  const reader = new Reader(body)
  const { topic, qos, messageId } = readPublishStart(first, reader)
  const properties = version === 5 ? readProperties(reader) : NONE
  return { topic, qos, messageId, retain: (first & 1) !== 0, dup: (first & 8) !== 0, payload: reader.rest(), properties }
}

/** What stands before the properties: enough to acknowledge a message that nobody will read. */
export function readPublishStart(first: number, given: Buffer | Reader): Pick<PublishPacket, 'topic' | 'qos' | 'messageId'> {
  const reader = given instanceof Reader ? given : new Reader(given)
  const qos = (first >> 1) & 3
  if (qos === 3) throw malformed('QoS 3')
  const topic = reader.text()
  // No topic alias was offered, so each packet has its topic.
  if (topic === '' || /[+#\0]/.test(topic)) throw malformed('a topic that is none')
  const messageId = qos === 0 ? 0 : reader.uint16()
  if (qos > 0 && messageId === 0) throw malformed('packet id 0')
  return { topic, qos: qos as 0 | 1 | 2, messageId }
}

function readProperties(reader: Reader): PublishProperties {
  const end = reader.varint() + reader.at
  const found: { contentType?: string; responseTopic?: string; correlationData?: Buffer } = {}
  const user: [string, string][] = []
  const subscriptionIds: number[] = []
  while (reader.at < end) {
    const id = reader.uint8()
    if (id === 0x01) reader.uint8()
    else if (id === 0x02) reader.skip(4)
    else if (id === 0x03) found.contentType = reader.text()
    else if (id === 0x08) found.responseTopic = reader.text()
    else if (id === 0x09) found.correlationData = reader.bytes(reader.uint16())
    else if (id === 0x0b) subscriptionIds.push(reader.varint())
    else if (id === 0x26) user.push([reader.text(), reader.text()])
    else throw malformed(`property ${id}`)
    if (user.length > USER_PROPERTIES_MAX) throw malformed(`more than ${USER_PROPERTIES_MAX} user properties`)
  }
  if (reader.at !== end) throw malformed('a wrong length of properties')
  return { ...found, user, subscriptionIds }
}

class Reader {
  at = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  bytes(length: number): Buffer {
    const from = this.at
    this.skip(length)
    return this.#bytes.subarray(from, this.at)
  }

  skip(length: number): void {
    if (this.at + length > this.#bytes.length) throw malformed('a length beyond its end')
    this.at += length
  }

  uint8(): number {
    return this.bytes(1)[0]!
  }

  uint16(): number {
    return this.bytes(2).readUInt16BE()
  }

  varint(): number {
    let value = 0
    for (let shift = 0; shift <= 21; shift += 7) {
      const byte = this.uint8()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw malformed('a length of more than 4 bytes')
  }

  text(): string {
    const bytes = this.bytes(this.uint16())
    try {
      return decoder.decode(bytes)
    } catch {
      throw malformed('a text that is not UTF-8')
    }
  }

  rest(): Buffer {
    return this.bytes(this.#bytes.length - this.at)
  }
}

/** Ends the connection. */
export function malformed(what: string): ProtocolError {
  return new ProtocolError('mqtt-malformed', `The broker sent ${what}`, { retryable: true })
}

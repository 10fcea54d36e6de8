import type { AedesPacket } from './aedes-internals.ts'

const MESSAGE_ID_MAX = 65_535
/** What a queued message costs beside its payload and topic, roughly. */
const OVERHEAD_BYTES = 200

export interface QueueLimits {
  readonly messagesMax: number
  readonly bytesMax: number
}

interface Entry {
  packet: AedesPacket
  /** Being sent over the client's connection. */
  isClaimed: boolean
  readonly bytes: number
}

/** What a session still owes its client at QoS 1 and 2, in order: waiting, or sent and not yet acknowledged. Full: the new message is refused. */
export class OutgoingQueue {
  readonly #limits: QueueLimits
  readonly #entries = new Map<number, Entry>()
  readonly #sent = new Map<number, number>()
  #bytes = 0

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  add(packet: AedesPacket): boolean {
    const bytes = packet.payload.length + packet.topic.length + OVERHEAD_BYTES
    if (this.#entries.size >= this.#limits.messagesMax || this.#bytes + bytes > this.#limits.bytesMax) return false
    this.#entries.set(packet.brokerCounter!, { packet, bytes, isClaimed: false })
    this.#bytes += bytes
    return true
  }

  /**
   * The message goes out (again) under packet.messageId. An id that an older message still holds is replaced by a free one, in
   * `packet` too, which is written after this. Later deliveries carry DUP [MQTT-3.3.1-1].
   */
  sent(packet: AedesPacket): boolean {
    const entry = this.#entries.get(packet.brokerCounter!)
    if (entry === undefined) return false
    const counter = packet.brokerCounter!
    let id = packet.messageId ?? 1
    while (this.#sent.has(id) && this.#sent.get(id) !== counter) id = id >= MESSAGE_ID_MAX ? 1 : id + 1
    packet.messageId = id
    this.#sent.set(id, counter)
    entry.packet = { ...entry.packet, messageId: id, dup: true }
    return true
  }

  claim(counter: number): void {
    const entry = this.#entries.get(counter)
    if (entry !== undefined) entry.isClaimed = true
  }

  /** Nobody will send it, unless another subscription of the client does. */
  drop(counter: number): AedesPacket | undefined {
    return this.#entries.get(counter)?.isClaimed ? undefined : this.#remove(counter)
  }

  /** The client has the QoS 2 message: from now on only PUBREL is owed. */
  released(pubrel: AedesPacket): boolean {
    const counter = this.#sent.get(pubrel.messageId!)
    const entry = counter === undefined ? undefined : this.#entries.get(counter)
    if (entry === undefined) return false
    entry.packet = { ...pubrel, brokerCounter: counter!, topic: '', payload: '', qos: 1, retain: false }
    return true
  }

  acknowledged(messageId: number): AedesPacket | undefined {
    const counter = this.#sent.get(messageId)
    if (counter === undefined) return undefined
    this.#sent.delete(messageId)
    return this.#remove(counter)
  }

  packets(): AedesPacket[] {
    return Array.from(this.#entries.values(), (entry) => entry.packet)
  }

  #remove(counter: number): AedesPacket | undefined {
    const entry = this.#entries.get(counter)
    if (entry === undefined) return undefined
    this.#entries.delete(counter)
    this.#bytes -= entry.bytes
    return entry.packet
  }
}

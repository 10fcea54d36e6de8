import type { InboundIds } from '../broker/inbound-ids.ts'
import type { PublishPacket } from './mqtt-publish-packet.ts'

const PUBACK = 0x40
const PUBREC = 0x50
const PUBCOMP = 0x70

export interface AcknowledgerParts {
  /** Whose ids these are: the client id. */
  readonly clientId: string
  /** QoS 2 messages between PUBLISH and PUBREL; they belong to the session and outlive the connection. */
  readonly ids: InboundIds
  /** Messages that may wait for their commit. */
  readonly messagesMax: number
  /** Keeps a message; `done` when it is committed. */
  readonly take: (packet: PublishPacket, done: (error: Error | null) => void) => void
  /** Sends acknowledgements. Not called after close(). */
  readonly write: (acks: Buffer) => void
  /** A message could not be kept: the connection has to end, so that the broker sends again what was not acknowledged. */
  readonly failed: (error: Error) => void
  /** There may be room again. */
  readonly settled: () => void
}

interface Entry {
  readonly ack: number
  readonly messageId: number
  isTaken: boolean
}

/** Bytes of messages that wait for their commit; more stay in the socket. */
const BYTES_MAX = 4 * 1024 * 1024

/**
 * The messages of one connection between PUBLISH and the commit. Many wait at a time, so that they share commits; acknowledgements go
 * out in the order in which the messages came [MQTT-4.6.0-2], those that come due together in one write. After a failure nothing more
 * is acknowledged.
 */
export class Acknowledger {
  readonly #parts: AcknowledgerParts
  #entries: Entry[] = []
  #head = 0
  #messages = 0
  #bytes = 0
  #due: number[] = []
  #isOpen = true

  constructor(parts: AcknowledgerParts) {
    this.#parts = parts
  }

  get isFull(): boolean {
    return this.#messages >= this.#parts.messagesMax || this.#bytes >= BYTES_MAX
  }

  get isHalfFull(): boolean {
    return this.#messages > this.#parts.messagesMax / 2 || this.#bytes > BYTES_MAX / 2
  }

  /** Nothing is acknowledged any more; idempotent. */
  close(): void {
    this.#isOpen = false
    this.#due = []
  }

  publish(packet: PublishPacket): void {
    if (!this.#isOpen) return
    const { qos, messageId } = packet
    if (qos === 2) return this.#takeOnce(packet)
    this.#take(packet, qos === 0 ? null : this.#enter(PUBACK, messageId))
  }

  /** Acknowledges, in its turn, a message that is thrown away. */
  drop({ qos, messageId }: Pick<PublishPacket, 'qos' | 'messageId'>): void {
    if (this.#isOpen && qos > 0) this.#settle(this.#enter(qos === 1 ? PUBACK : PUBREC, messageId))
  }

  /** PUBREL: the broker sends this message no more. */
  release(messageId: number): void {
    this.#parts.ids.release(this.#parts.clientId, messageId)
    this.#acknowledge(PUBCOMP, messageId)
  }

  /** Sends the acknowledgements that are due; comes by itself at the end of the tick. */
  flush(): void {
    if (!this.#isOpen || this.#due.length === 0) return
    const acks = Buffer.allocUnsafe(4 * this.#due.length)
    for (const [index, ack] of this.#due.entries()) acks.writeUInt32BE(ack, 4 * index)
    this.#due = []
    this.#parts.write(acks)
  }

  /** A message sent again under an id that is still open is acknowledged again, not taken again [MQTT-4.3.3-2]. */
  #takeOnce(packet: PublishPacket): void {
    const { ids, clientId } = this.#parts
    const { messageId } = packet
    const entry = this.#enter(PUBREC, messageId)
    const state = ids.state(clientId, messageId)
    if (state === 'taken') return this.#settle(entry)
    if (state === 'pending') {
      // Its commit began over an earlier connection.
      ids.onSettled(clientId, messageId, (isTaken) => (isTaken ? this.#settle(entry) : this.#fail(new Error('The message was not kept'))))
      return
    }
    const settled = ids.begin(clientId, messageId)
    this.#take(packet, entry, settled === false ? undefined : settled)
  }

  #enter(ack: number, messageId: number): Entry {
    const entry = { ack, messageId, isTaken: false }
    this.#entries.push(entry)
    return entry
  }

  #take(packet: PublishPacket, entry: Entry | null, settled?: { taken(): void; failed(): void }): void {
    const bytes = packet.payload.length + packet.topic.length
    this.#messages++
    this.#bytes += bytes
    this.#parts.take(packet, (error) => {
      this.#messages--
      this.#bytes -= bytes
      if (error) {
        settled?.failed()
        this.#fail(error)
      } else {
        settled?.taken()
        if (entry) this.#settle(entry)
      }
      this.#parts.settled()
    })
  }

  #settle(entry: Entry): void {
    entry.isTaken = true
    let first = this.#entries[this.#head]
    while (first?.isTaken) {
      this.#acknowledge(first.ack, first.messageId)
      first = this.#entries[++this.#head]
    }
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head > this.#parts.messagesMax) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  /** The same four bytes in MQTT 3.1.1 and 5. */
  #acknowledge(ack: number, messageId: number): void {
    if (!this.#isOpen) return
    if (this.#due.length === 0) process.nextTick(() => this.flush())
    this.#due.push(((ack << 24) | 0x02_0000 | messageId) >>> 0)
  }

  /** What was committed before it is still acknowledged. */
  #fail(error: Error): void {
    if (!this.#isOpen) return
    this.flush()
    this.close()
    this.#parts.failed(error)
  }
}

import type { BrokerCounters, Ingest, InboundMessage } from './contract.ts'
import type { InboundIds } from './inbound-ids.ts'
import type { InFlightBudget } from './in-flight-budget.ts'
import type { PublishPacket } from './packet-checks.ts'

const PUBACK = 0x40
const PUBREC = 0x50
/** Enough that a burst fills many group commits; a client with more open is read on when half are confirmed. */
const MESSAGES_MAX = 4096
const BYTES_MAX = 4 * 1024 * 1024

export interface LaneParts {
  readonly clientId: string
  readonly ingest: Ingest
  readonly ids: InboundIds
  readonly budget: InFlightBudget
  readonly counters: BrokerCounters
  /** Sends acknowledgements. Not called after close(). */
  write(acks: Buffer): void
  /** A message was taken: to the local subscribers with it. Called in the client's order within QoS 0 and within QoS 1 and 2. */
  route(message: InboundMessage): void
  /** The ingest confirmed a message. */
  onTaken(): void
  /** The client has to go: its message was not taken. */
  refuse(error: Error): void
  /** A message was confirmed: there may be room to read on. */
  onRoom(): void
}

interface Entry {
  readonly message: InboundMessage
  /** First byte of the acknowledgement. */
  readonly ack: number
  readonly messageId: number
  state: 'open' | 'taken' | 'failed'
}

/**
 * One client's messages on their way into the ingest. Many are in flight at a time (that is what group commit lives on);
 * acknowledgements go out in the order of the messages [MQTT-4.6.0-2], those that come due together in one write.
 * After a failure nothing more is acknowledged; what is taken is still routed, also when the client is gone.
 */
export class PublishLane {
  readonly #parts: LaneParts
  /** QoS 1 and 2, oldest first from #head. */
  #entries: Entry[] = []
  #head = 0
  #messages = 0
  #bytes = 0
  #acks: number[] = []
  #isOpen = true

  constructor(parts: LaneParts) {
    this.#parts = parts
  }

  get isFull(): boolean {
    return this.#messages >= MESSAGES_MAX || this.#bytes >= BYTES_MAX
  }

  get isHalfFull(): boolean {
    return this.#messages > MESSAGES_MAX / 2 || this.#bytes > BYTES_MAX / 2
  }

  /** No acknowledgement is written any more. */
  close(): void {
    this.#isOpen = false
    this.#acks = []
  }

  take({ topic, payload, qos, retain, messageId }: PublishPacket): void {
    const message: InboundMessage = { clientId: this.#parts.clientId, topic, payload, qos, retain }
    if (qos === 0) this.#takeUnacknowledged(message)
    else if (qos === 1) this.#takeAcknowledged({ message, ack: PUBACK, messageId, state: 'open' })
    else this.#takeOnce(message, messageId)
  }

  #takeUnacknowledged(message: InboundMessage): void {
    this.#hand(message, (error) => {
      if (error !== null) this.#parts.counters.ingestRefused++
      else this.#parts.onTaken()
    })
    this.#parts.route(message)
  }

  #takeAcknowledged(entry: Entry, settled?: { taken(): void; failed(): void }): void {
    this.#entries.push(entry)
    this.#hand(entry.message, (error) => {
      if (error === null) {
        this.#parts.onTaken()
        entry.state = 'taken'
        settled?.taken()
      } else {
        entry.state = 'failed'
        settled?.failed()
        this.#fail(error)
      }
      this.#release()
    })
  }

  /** QoS 2: a message sent again under an open id is confirmed again, not taken again. One still pending is confirmed by its first sending. */
  #takeOnce(message: InboundMessage, messageId: number): void {
    const { ids, clientId } = this.#parts
    const state = ids.state(clientId, messageId)
    if (state === 'taken') return this.#acknowledge(PUBREC, messageId)
    if (state === 'pending') return this.#awaitFirst(messageId)
    const settled = ids.begin(clientId, messageId)
    if (settled === false) return this.#fail(new Error('too many QoS 2 messages without PUBREL'))
    this.#takeAcknowledged({ message, ack: PUBREC, messageId, state: 'open' }, settled)
  }

  /** The first sending may have come over another connection of this session: then its PUBREC goes nowhere, and this one owes it. */
  #awaitFirst(messageId: number): void {
    const { ids, clientId } = this.#parts
    const isOwn = this.#entries.some((entry, at) => at >= this.#head && entry.messageId === messageId && entry.ack === PUBREC)
    if (isOwn) return
    ids.onSettled(clientId, messageId, (isTaken) => {
      if (isTaken) this.#acknowledge(PUBREC, messageId)
      else this.#fail(new Error('the message was not taken'))
    })
  }

  #hand(message: InboundMessage, settle: (error: Error | null) => void): void {
    const bytes = message.payload.length + message.topic.length
    this.#messages++
    this.#bytes += bytes
    this.#parts.budget.take(bytes)
    let isOpen = true
    const done = (error: Error | null) => {
      if (!isOpen) return
      isOpen = false
      this.#messages--
      this.#bytes -= bytes
      this.#parts.budget.give(bytes)
      settle(error)
      this.#parts.onRoom()
    }
    try {
      this.#parts.ingest.publish(message, done)
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #release(): void {
    while (this.#head < this.#entries.length) {
      const entry = this.#entries[this.#head]!
      if (entry.state === 'open') break
      this.#head++
      if (entry.state === 'failed') continue
      this.#acknowledge(entry.ack, entry.messageId)
      this.#parts.route(entry.message)
    }
    if (this.#head === this.#entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (this.#head > MESSAGES_MAX) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  #acknowledge(ack: number, messageId: number): void {
    if (!this.#isOpen) return
    if (this.#acks.length === 0) process.nextTick(() => this.flush())
    this.#acks.push(((ack << 24) | 0x02_0000 | messageId) >>> 0)
  }

  /** Sends the acknowledgements that are due; comes by itself at the end of the tick. */
  flush(): void {
    if (!this.#isOpen || this.#acks.length === 0) return
    const acks = Buffer.allocUnsafe(4 * this.#acks.length)
    for (let i = 0; i < this.#acks.length; i++) acks.writeUInt32BE(this.#acks[i]!, 4 * i)
    this.#acks = []
    this.#parts.write(acks)
  }

  #fail(error: Error): void {
    if (!this.#isOpen) return
    this.#parts.counters.ingestRefused++
    this.flush()
    this.close()
    this.#parts.refuse(error)
  }
}

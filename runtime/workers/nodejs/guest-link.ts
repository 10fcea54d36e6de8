import { putU64 } from '../../event/event-writer.ts'
import { HeadWriter } from '../../event/head.ts'
import { AT, RECORD_HEADER_BYTES, type Kind } from '../../event/record.ts'
import type { Channel } from '../../shared-memory/channel.ts'

/**
 * The guest's way of writing records. Order is kept: when the ring is full, what does not fit waits in line here, and the
 * handler's answer waits behind it.
 */
export class GuestLink {
  readonly head = new HeadWriter()
  readonly #channel: Channel
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)
  readonly #waiting: { header: Buffer; head: Buffer; body: Buffer | null }[] = []
  #flushAsked = false

  constructor(channel: Channel) {
    this.#channel = channel
    channel.onWritable = () => this.#drain()
  }

  /** Sends a record with the head written so far. */
  send(kind: Kind, ticket: number, status: number, body: Uint8Array | null, flags = 0): void {
    const header = this.#header
    header[AT.kind] = kind
    header[AT.flags] = flags
    header.writeUInt16LE(status, AT.status)
    putU64(header, AT.ticket, ticket)
    const head = this.head.bytes()
    if (this.#waiting.length > 0 || !this.#channel.write(header, head, body)) {
      this.#waiting.push({ header: Buffer.from(header), head: Buffer.from(head), body: body && Buffer.from(body) })
    }
    this.head.reset()
    if (this.#flushAsked) return
    this.#flushAsked = true
    // One doorbell for all that this turn of the loop has to say.
    queueMicrotask(this.#flush)
  }

  readonly #flush = (): void => {
    this.#flushAsked = false
    this.#channel.flush()
  }

  #drain(): void {
    while (this.#waiting.length > 0) {
      const { header, head, body } = this.#waiting[0]!
      if (!this.#channel.write(header, head, body)) break
      this.#waiting.shift()
    }
    this.#channel.flush()
  }
}

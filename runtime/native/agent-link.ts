import { DunlinError } from '../base/errors.ts'
import { putU64 } from '../event/event-writer.ts'
import { AT, RECORD_HEADER_BYTES } from '../event/record.ts'
import type { GuestChannel } from '../shared-memory/guest-channel.ts'

/** Return codes of dunlin.h. */
export const OK = 0
export const E_TOO_LARGE = -1
export const E_REFUSED = -2
export const E_GONE = -5

const BURST_RECORDS = 2048
/** A bound for the wait for room, whose end is usually a doorbell. */
const LOOK_AGAIN_MS = 100
const FOREVER_MS = -1

/**
 * The ring, for a thread without an event loop: writes wait for room, reads wait for records. What comes meanwhile goes to the
 * channel's onRecord.
 */
export class AgentLink {
  readonly #channel: GuestChannel
  readonly #header = Buffer.alloc(RECORD_HEADER_BYTES)

  constructor(channel: GuestChannel) {
    this.#channel = channel
  }

  /** Reads until `isTrue` holds; sleeps in poll(2) while nothing comes. */
  readUntil(isTrue: () => boolean): void {
    while (!isTrue()) {
      if (this.#channel.isAsleep) this.#channel.block(FOREVER_MS)
      else this.#channel.poll(BURST_RECORDS)
    }
  }

  /** Throws InputError 'record-too-large'. */
  send(kind: number, ticket: number, status: number, flags: number, head: Uint8Array | null, body: Buffer | null): void {
    const header = this.#header
    header[AT.kind] = kind
    header[AT.flags] = flags
    header.writeUInt16LE(status, AT.status)
    putU64(header, AT.ticket, ticket)
    this.#write(() => this.#channel.write(header, head, body))
  }

  /** Copies a whole record with its ticket replaced; `body` stands in for its own. A return code. */
  forward(record: Buffer, body: Buffer | null, ticket: number): number {
    return codeOf(() => {
      if (body === null) return this.#write(() => this.#channel.writeRecord(record, ticket, 0))
      const header = Buffer.from(record.subarray(0, RECORD_HEADER_BYTES))
      putU64(header, AT.ticket, ticket)
      this.#write(() => this.#channel.write(header, headOf(record), body))
    })
  }

  /** Until now the agent may not have noticed what was written. */
  ring(): void {
    this.#channel.flush()
  }

  /** Waits for room, in the ring or for a large body. */
  #write(write: () => boolean): void {
    for (;;) {
      try {
        if (write()) return
      } catch (error) {
        if (!(error instanceof DunlinError) || !error.retryable) throw error
      }
      this.ring()
      this.#channel.block(LOOK_AGAIN_MS)
    }
  }
}

export function codeOf(write: () => void): number {
  try {
    write()
    return OK
  } catch (error) {
    if (error instanceof DunlinError && error.code === 'record-too-large') return E_TOO_LARGE
    throw error
  }
}

export function headOf(record: Buffer): Buffer {
  return record.subarray(RECORD_HEADER_BYTES, RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength))
}

export function bodyOf(record: Buffer): Buffer {
  const at = RECORD_HEADER_BYTES + record.readUInt32LE(AT.headLength)
  return record.subarray(at, at + record.readUInt32LE(AT.bodyLength))
}

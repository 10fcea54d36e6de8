import { InputError, ProtocolError } from '../base/errors.ts'
import { AT, Flag, Kind, RECORD_HEADER_BYTES, recordSize } from '../event/record.ts'
import { EXTERNAL_BODY_BYTES_MAX, inlineRecordBytesMax, type Layout } from './layout.ts'
import { RingRecordView, type RecordView } from './record-view.ts'
import { RingReader } from './ring-reader.ts'
import { RingWriter } from './ring-writer.ts'

export type { RecordView } from './record-view.ts'

/** Two rings and a doorbell between the agent and one guest. The peer may send anything: it ends in onBroken, never in an exception. */
export interface Channel {
  /**
   * Copies one record in; size and lengths in the header are set from the parts. False when there is no room: onWritable comes when there is.
   * A large body goes outside the ring. Throws InputError 'record-too-large', or the disk's error where a large body cannot be put.
   */
  write(header: Uint8Array, head: Uint8Array | null, body: Uint8Array | null): boolean
  /** Writes a whole stored record with its ticket and attempt replaced. */
  writeRecord(record: Uint8Array, ticket: number, attempt: number): boolean
  /** Rings the doorbell if the peer sleeps. Call it after a batch of writes: until then the peer may not notice them. */
  flush(): void
  /** Reads up to `max` records. The channel does this itself on every doorbell; call it to look earlier. */
  poll(max: number): number
  /** The view is used again: it is valid during the call only. */
  onRecord: (view: RecordView) => void
  /** A write failed before and would fit now. */
  onWritable: () => void
  /** The peer broke the protocol. Called once; nothing is read or written after it. */
  onBroken: (error: ProtocolError) => void
  close(): void
}

/** How a sleeping peer is woken. */
export interface Doorbell {
  ring(): void
  close(): void
}

/** Where bodies go that are too large for the ring. */
export interface BodyCarrier {
  /** Puts `body` where the peer can take it; returns the reference for the record's body. `isAllRead`: no earlier body is still to be taken. */
  put(body: Uint8Array, isAllRead: boolean): Uint8Array
  /** Takes the body of a reference that the peer sent; valid until the next one is taken. Throws ProtocolError when it is not there or not what was said. */
  take(reference: Buffer): Buffer
  close(): void
}

/** Records a doorbell reads before the event loop gets its turn. */
const BURST_RECORDS_MAX = 2048

/**
 * A guest rings once for a batch of answers. Should it start a slow event before it has rung for a quick one, the agent finds the
 * quick one's answer by looking: first after 1 ms, then ever more rarely while nothing comes.
 */
const LOOK_FIRST_MS = 1
const LOOK_LAST_MS = 32

export interface ChannelParts {
  readonly memory: ArrayBufferLike
  readonly layout: Layout
  readonly side: 'agent' | 'guest'
  readonly doorbell: Doorbell
  readonly bodies: BodyCarrier
  /** Called last, when nothing looks at the memory any more. */
  readonly release: () => void
}

/**
 * open -> broken | closed. Broken stops reading and writing and keeps the memory until close().
 */
export class RingChannel implements Channel {
  onRecord: (view: RecordView) => void = () => {}
  onWritable: () => void = () => {}
  onBroken: (error: ProtocolError) => void = () => {}

  readonly #parts: ChannelParts
  readonly #reader: RingReader
  readonly #writer: RingWriter
  readonly #view = new RingRecordView()
  readonly #inlineBytesMax: number
  readonly #recordBytesMax: number
  readonly #releaseAfterBytes: number
  readonly #scratch = Buffer.alloc(RECORD_HEADER_BYTES)
  #state: 'open' | 'broken' | 'closed' = 'open'
  #isPolling = false
  #isAsleep = false
  #isPaused = false
  #next: NodeJS.Immediate | null = null
  /** EVENTs written less RESULTs read: while there are some, the agent looks by itself now and then. */
  #unanswered = 0
  #read = 0
  #look: NodeJS.Timeout | null = null

  constructor(parts: ChannelParts) {
    this.#parts = parts
    const { toGuest, toAgent } = parts.layout
    const [incoming, outgoing] = parts.side === 'agent' ? [toAgent, toGuest] : [toGuest, toAgent]
    this.#reader = new RingReader(parts.memory, incoming)
    this.#writer = new RingWriter(parts.memory, outgoing)
    this.#inlineBytesMax = inlineRecordBytesMax(outgoing.capacity)
    this.#recordBytesMax = outgoing.capacity >>> 1
    this.#releaseAfterBytes = incoming.capacity >>> 2
  }

  write(header: Uint8Array, head: Uint8Array | null, body: Uint8Array | null): boolean {
    if (this.#state !== 'open') return false
    try {
      const fits = recordSize(head?.length ?? 0, body?.length ?? 0) <= this.#inlineBytesMax
      const written = fits ? this.#writer.write(header, head, body) : this.#writeLarge(header, head, body)
      if (written && header[AT.kind] === Kind.event) this.#unanswered++
      return written
    } catch (error) {
      return this.#fail(error)
    }
  }

  writeRecord(record: Uint8Array, ticket: number, attempt: number): boolean {
    if (this.#state !== 'open') return false
    try {
      if (record.length <= this.#inlineBytesMax) {
        const written = this.#writer.writeRecord(record, recordSize(record.length - RECORD_HEADER_BYTES, 0), ticket, attempt)
        if (written && record[AT.kind] === Kind.event) this.#unanswered++
        return written
      }
      const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
      const bodyAt = RECORD_HEADER_BYTES + view.getUint32(AT.headLength, true)
      const bodyEnd = bodyAt + view.getUint32(AT.bodyLength, true)
      if (bodyEnd > record.length)
        throw new InputError('record-damaged', `Cannot write a record of ${record.length} bytes: its parts end at ${bodyEnd}`)
      const header = Buffer.from(record.subarray(0, RECORD_HEADER_BYTES))
      header.writeUInt32LE(ticket % 0x1_0000_0000, AT.ticket)
      header.writeUInt32LE(Math.floor(ticket / 0x1_0000_0000), AT.ticket + 4)
      header.writeUInt16LE(attempt & 0xffff, AT.attempt)
      return this.write(header, record.subarray(RECORD_HEADER_BYTES, bodyAt), record.subarray(bodyAt, bodyEnd))
    } catch (error) {
      return this.#fail(error)
    }
  }

  flush(): void {
    if (this.#state !== 'open') return
    if (this.#writer.takeSleeping()) this.#parts.doorbell.ring()
    if (this.#unanswered > 0 && this.#look === null) this.#lookLater(LOOK_FIRST_MS)
  }

  poll(max: number): number {
    if (this.#state !== 'open' || this.#isPolling) return 0
    this.#isPolling = true
    this.#isAsleep = false
    this.#isPaused = false
    let read = 0
    try {
      read = this.#drain(max)
      this.#read += read
    } finally {
      this.#isPolling = false
      if (this.#isClosed()) this.#release()
      else this.#settle()
    }
    return read
  }

  /** Called by onRecord: the poll that reads ends behind this record. */
  pause(): void {
    this.#isPaused = true
  }

  /** Nothing was there at the last look, and the peer rings when there is something. */
  get isAsleep(): boolean {
    return this.#isAsleep
  }

  /** The doorbell has rung: for records, for room, or for both. */
  wake(): void {
    this.poll(BURST_RECORDS_MAX)
    if (this.#state !== 'open') return
    try {
      if (this.#writer.takeRoom()) this.onWritable()
    } catch (error) {
      this.#fail(error)
    }
  }

  close(): void {
    if (this.#isClosed()) return
    this.#state = 'closed'
    if (this.#next !== null) clearImmediate(this.#next)
    if (this.#look !== null) clearTimeout(this.#look)
    this.#parts.doorbell.close()
    if (!this.#isPolling) this.#release()
  }

  #drain(max: number): number {
    const reader = this.#reader
    const view = this.#view
    let read = 0
    while (read < max) {
      try {
        if (!reader.next(view)) break
        if ((view.flags & Flag.externalBody) !== 0) view.attach(this.#parts.bodies.take(view.body))
      } catch (error) {
        this.#fail(error)
        break
      }
      if (read++ === 0) reader.wakeUp()
      if (view.kind === Kind.result) this.#unanswered--
      this.onRecord(view)
      if (this.#state !== 'open' || this.#isPaused) break
      if (reader.held >= this.#releaseAfterBytes && reader.release()) this.#parts.doorbell.ring()
    }
    return read
  }

  /** After reading: give room back, then either ask for a doorbell or come again in the next turn. */
  #settle(): void {
    if (this.#state !== 'open') return
    try {
      if (this.#reader.release()) this.#parts.doorbell.ring()
      this.#isAsleep = this.#reader.isEmpty && this.#reader.sleep()
      if (this.#isAsleep) return
      this.#next ??= setImmediate(() => {
        this.#next = null
        this.wake()
      })
    } catch (error) {
      this.#fail(error)
    }
  }

  #lookLater(ms: number): void {
    const before = this.#read
    this.#look = setTimeout(() => {
      this.#look = null
      const isQuiet = this.#read === before
      this.wake()
      if (this.#state === 'open' && this.#unanswered > 0 && this.#look === null) {
        this.#lookLater(isQuiet ? Math.min(ms * 2, LOOK_LAST_MS) : LOOK_FIRST_MS)
      }
    }, ms).unref()
  }

  #writeLarge(header: Uint8Array, head: Uint8Array | null, body: Uint8Array | null): boolean {
    const headLength = head?.length ?? 0
    const bodyLength = body?.length ?? 0
    if (bodyLength > EXTERNAL_BODY_BYTES_MAX || recordSize(headLength, REFERENCE_BYTES_MAX) > this.#recordBytesMax) {
      throw new InputError('record-too-large', `Cannot write a record of ${headLength} bytes head and ${bodyLength} bytes body: too large`)
    }
    if (body === null || bodyLength <= REFERENCE_BYTES_MAX) return this.#writer.write(header, head, body)
    if (!this.#writer.canWrite(recordSize(headLength, REFERENCE_BYTES_MAX))) return false
    this.#scratch.set(header)
    this.#scratch[AT.flags]! |= Flag.externalBody
    return this.#writer.write(this.#scratch, head, this.#parts.bodies.put(body, this.#writer.isAllRead))
  }

  /** A broken protocol ends the channel; anything else is the caller's. */
  #fail(error: unknown): false {
    if (!(error instanceof ProtocolError)) throw error
    if (this.#state === 'open') {
      this.#state = 'broken'
      this.onBroken(error)
    }
    return false
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #release(): void {
    this.#parts.bodies.close()
    this.#parts.release()
  }
}

/** No carrier's reference is longer. */
export const REFERENCE_BYTES_MAX = 64

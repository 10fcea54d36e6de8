/** The stream half of the store's contract, in memory: what an export pump needs, with the store's own promises. */
import { randomFillSync, randomUUID } from 'node:crypto'
import type { Ledger, StreamRow } from '../../runtime/store/store.ts'
import { AT, Kind, RECORD_HEADER_BYTES, recordSize } from '../../runtime/event/record.ts'

interface FakeStream {
  readonly name: string
  readonly epoch: string
  readonly rows: Map<number, Buffer>
  lastSeq: number
  delivered: number
}

export class FakeStreams {
  readonly #streams: FakeStream[] = []
  reads = 0

  open(name: string): { id: number; epoch: string } {
    const epoch = randomUUID()
    this.#streams.push({ name, epoch, rows: new Map(), lastSeq: 0, delivered: 0 })
    return { id: this.#streams.length - 1, epoch }
  }

  append(stream: number, count: number, bodyBytes = 32): void {
    const { rows, lastSeq } = this.#streams[stream]!
    for (let seq = lastSeq + 1; seq <= lastSeq + count; seq++) rows.set(seq, emitRecord(bodyBytes))
    this.#streams[stream]!.lastSeq += count
  }

  waiting(stream: number): number[] {
    return [...this.#streams[stream]!.rows.keys()]
  }

  readStream(stream: number, first: number, last: number, rows: number, bytes: number): Promise<StreamRow[]> {
    this.reads++
    const found: StreamRow[] = []
    let sum = 0
    for (const [seq, row] of this.#streams[stream]!.rows) {
      if (seq < first || seq > last) continue
      sum += row.length
      if (found.length > 0 && (found.length >= rows || sum > bytes)) break
      found.push({ seq, record: Buffer.from(row) })
    }
    return Promise.resolve(found)
  }

  releaseStream(stream: number, first: number, last: number): Promise<void> {
    const { rows } = this.#streams[stream]!
    for (const seq of rows.keys()) if (seq >= first && seq <= last && rows.delete(seq)) this.#streams[stream]!.delivered++
    return Promise.resolve()
  }

  ledger(): Promise<Ledger> {
    const streams = this.#streams.map(({ name, epoch, lastSeq, delivered, rows }) => {
      const none = { expired: 0, evicted: 0, rejected: 0, dead: 0, salvaged: 0, balanced: true }
      return {
        name,
        epoch,
        lastSeq,
        accepted: lastSeq,
        delivered,
        waiting: rows.size,
        firstWaiting: rows.keys().next().value ?? 0,
        ...none,
      }
    })
    return Promise.resolve({ sources: [], streams, bytesUsed: 0, bytesMax: 0 })
  }
}

/** A record of an emitted event; its body does not pack. */
export function emitRecord(bodyBytes: number): Buffer {
  const buffer = Buffer.alloc(recordSize(0, bodyBytes))
  buffer.writeUInt32LE(buffer.length, AT.size)
  buffer[AT.kind] = Kind.emit
  buffer.writeUInt32LE(bodyBytes, AT.bodyLength)
  randomFillSync(buffer, RECORD_HEADER_BYTES, bodyBytes)
  return buffer
}

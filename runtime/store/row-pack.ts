/**
 * Rows on their way from the store thread to the client: one transferred buffer a read, records 8-byte aligned, each row
 * f64 id, u32 attempt, u32 length, record, padding. The client's Buffers are views into it.
 */
const ROW_BYTES = 16

export class RowPacker {
  #bytes = Buffer.from(new ArrayBuffer(64 * 1024))
  #used = 0

  get used(): number {
    return this.#used
  }

  push(id: number, attempt: number, record: Uint8Array): void {
    const size = (ROW_BYTES + record.length + 7) & ~7
    if (this.#used + size > this.#bytes.length) this.#grow(this.#used + size)
    this.#bytes.writeDoubleLE(id, this.#used)
    this.#bytes.writeUInt32LE(attempt, this.#used + 8)
    this.#bytes.writeUInt32LE(record.length, this.#used + 12)
    this.#bytes.set(record, this.#used + ROW_BYTES)
    this.#used += size
  }

  /** The rows so far, in a buffer of exactly their size when much would be wasted. */
  take(): { buffer: ArrayBuffer; used: number } {
    const used = this.#used
    const buffer = this.#bytes.buffer
    return used * 2 < buffer.byteLength ? { buffer: buffer.slice(0, used), used } : { buffer, used }
  }

  #grow(needed: number): void {
    let capacity = this.#bytes.length
    while (capacity < needed) capacity *= 2
    const larger = Buffer.from(new ArrayBuffer(capacity))
    larger.set(this.#bytes.subarray(0, this.#used))
    this.#bytes = larger
  }
}

export function unpackRows<Row>(
  packed: { buffer: ArrayBuffer; used: number },
  make: (id: number, attempt: number, record: Buffer) => Row,
): Row[] {
  const view = new DataView(packed.buffer)
  const rows: Row[] = []
  for (let at = 0; at < packed.used;) {
    const length = view.getUint32(at + 12, true)
    rows.push(make(view.getFloat64(at, true), view.getUint32(at + 8, true), Buffer.from(packed.buffer, at + ROW_BYTES, length)))
    at += (ROW_BYTES + length + 7) & ~7
  }
  return rows
}

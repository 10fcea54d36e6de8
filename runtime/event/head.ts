import { HEAD_KEY_BYTES_MAX, HEAD_VALUE_BYTES_MAX, ITEM_HEADER_BYTES, type Tag } from './record.ts'
import { InputError } from '../base/errors.ts'

/** Writes head items into a buffer that is used again and again; `bytes()` is valid until the next `reset()`. */
export class HeadWriter {
  #buffer: Buffer = Buffer.allocUnsafe(1024)
  #length = 0

  reset(): this {
    this.#length = 0
    return this
  }

  get length(): number {
    return this.#length
  }

  /** A view on what was written; copy it to keep it. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Throws InputError 'head-too-long' when key or value does not fit its field. */
  add(tag: Tag, value: string, key = ''): this {
    const keyLength = key.length === 0 ? 0 : Buffer.byteLength(key)
    const valueLength = Buffer.byteLength(value)
    if (keyLength > HEAD_KEY_BYTES_MAX || valueLength > HEAD_VALUE_BYTES_MAX) {
      throw new InputError('head-too-long', `Cannot carry ${key || `item ${tag}`}: ${valueLength} bytes, at most ${HEAD_VALUE_BYTES_MAX}`)
    }
    this.#reserve(ITEM_HEADER_BYTES + keyLength + valueLength)
    const buffer = this.#buffer
    let at = this.#length
    buffer[at] = tag
    buffer[at + 1] = keyLength
    buffer[at + 2] = valueLength & 0xff
    buffer[at + 3] = valueLength >>> 8
    at += ITEM_HEADER_BYTES
    if (keyLength > 0) at += buffer.write(key, at)
    if (valueLength > 0) at += buffer.write(value, at)
    this.#length = at
    return this
  }

  /** Items that were written elsewhere. */
  append(items: Uint8Array): this {
    this.#reserve(items.length)
    this.#buffer.set(items, this.#length)
    this.#length += items.length
    return this
  }

  #reserve(more: number): void {
    const wanted = this.#length + more
    if (wanted <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(wanted, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
  }
}

/** The first value of `tag` (and `key`, when given), or undefined. `head` may come from an untrusted peer: lengths are checked. */
export function findItem(head: Buffer, tag: Tag, key?: string): string | undefined {
  let at = 0
  while (at + ITEM_HEADER_BYTES <= head.length) {
    const keyLength = head[at + 1]!
    const valueLength = head[at + 2]! | (head[at + 3]! << 8)
    const keyAt = at + ITEM_HEADER_BYTES
    const valueAt = keyAt + keyLength
    const end = valueAt + valueLength
    if (end > head.length) return undefined
    if (head[at] === tag && (key === undefined || head.toString('utf8', keyAt, valueAt) === key)) return head.toString('utf8', valueAt, end)
    at = end
  }
  return undefined
}

/** All items of `tag` as an object without prototype (a header may be called `__proto__`). */
export function itemsOf(head: Buffer, tag: Tag): Record<string, string> {
  const found: Record<string, string> = Object.create(null)
  let at = 0
  while (at + ITEM_HEADER_BYTES <= head.length) {
    const valueAt = at + ITEM_HEADER_BYTES + head[at + 1]!
    const end = valueAt + (head[at + 2]! | (head[at + 3]! << 8))
    if (end > head.length) break
    if (head[at] === tag) found[head.toString('utf8', at + ITEM_HEADER_BYTES, valueAt)] = head.toString('utf8', valueAt, end)
    at = end
  }
  return found
}

import { receiveMessageOnPort, type MessagePort } from 'node:worker_threads'
import { ProtocolError } from '../base/errors.ts'
import type { BodyCarrier } from './channel.ts'

/** What goes over a thread channel's port. */
export type PortMessage = { readonly type: 'ring' } | { readonly type: 'body'; readonly number: number; readonly bytes: Uint8Array }

/** Bodies that a peer may leave untaken; an honest one never has more than the ring holds references for. */
const WAITING_BODIES_MAX = 65_536

/**
 * Large bodies between threads: copied once, then transferred by message. The message is posted before the record is published,
 * so whoever reads the record finds it in the port's queue without waiting.
 */
export class MessageBodies implements BodyCarrier {
  readonly #port: MessagePort
  readonly #waiting = new Map<number, Uint8Array>()
  readonly #onRing: () => void
  #last = 0

  /** `onRing`: a doorbell was found in the queue while a body was looked for; it must not be lost. */
  constructor(port: MessagePort, onRing: () => void) {
    this.#port = port
    this.#onRing = onRing
  }

  put(body: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(body)
    this.#last += 1
    this.#port.postMessage({ type: 'body', number: this.#last, bytes } satisfies PortMessage, [bytes.buffer])
    const reference = Buffer.alloc(8)
    reference.writeUInt32LE(body.length, 0)
    reference.writeUInt32LE(this.#last >>> 0, 4)
    return reference
  }

  take(reference: Buffer): Buffer {
    if (reference.length !== 8) throw new ProtocolError('body-reference', `Cannot take a body: its reference has ${reference.length} bytes`)
    const length = reference.readUInt32LE(0)
    const number = reference.readUInt32LE(4)
    while (!this.#waiting.has(number)) {
      const received: { message: unknown } | undefined = receiveMessageOnPort(this.#port)
      if (received === undefined) throw new ProtocolError('body-missing', `Cannot take body ${number}: it was not sent`)
      if (!this.accept(received.message)) this.#onRing()
    }
    const bytes = this.#waiting.get(number)!
    this.#waiting.delete(number)
    if (bytes.length !== length)
      throw new ProtocolError('body-length', `Cannot take body ${number}: ${bytes.length} bytes, expected ${length}`)
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /** Keeps a body that came by the port's event. True when the message was one. */
  accept(message: unknown): boolean {
    if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'body') return false
    const { number, bytes } = message as { type: unknown; number?: unknown; bytes?: unknown }
    if (typeof number === 'number' && bytes instanceof Uint8Array && this.#waiting.size < WAITING_BODIES_MAX)
      this.#waiting.set(number, bytes)
    return true
  }

  close(): void {
    this.#waiting.clear()
  }
}

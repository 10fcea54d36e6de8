/** The memory that a library sees as its dunlin_context (dunlin.h): one struct, its strings, and the buffer that records gather in. */
import koffi from 'koffi'
import { addressOf, ownMemory } from './memory.ts'
import type { TriggerInfo } from '../workers/nodejs/guest-event.ts'

/** Offsets in struct dunlin_context. */
const CONTEXT = {
  abi: 0,
  size: 4,
  userData: 8,
  functionName: 16,
  functionVersion: 24,
  triggers: 32,
  triggerCount: 40,
  workerId: 44,
  logLevel: 48,
  outLength: 52,
  outCapacity: 56,
  out: 64,
  answer: 72,
  send: 80,
  ask: 88,
} as const
const CONTEXT_BYTES = 96
const TRIGGER_BYTES = 24

/** Records of one event gather here before they cross; more than that crosses in parts. Only what is used costs memory. */
const OUT_BYTES = 1 << 20

export interface ContextFields {
  readonly abi: number
  readonly functionName: string
  readonly functionVersion: string
  readonly workerId: number
  readonly triggers: readonly TriggerInfo[]
  readonly send: bigint
  readonly ask: bigint
}

export class ContextMemory {
  readonly address: number
  readonly out = ownMemory(OUT_BYTES)
  readonly #struct = ownMemory(CONTEXT_BYTES)
  /** What the struct points to. */
  readonly #kept: Buffer[] = [this.out]

  constructor(fields: ContextFields) {
    const struct = this.#struct
    struct.writeUInt32LE(fields.abi, CONTEXT.abi)
    struct.writeUInt32LE(CONTEXT_BYTES, CONTEXT.size)
    this.#point(struct, CONTEXT.functionName, text(fields.functionName))
    this.#point(struct, CONTEXT.functionVersion, text(fields.functionVersion))
    const triggers = ownMemory(Math.max(1, fields.triggers.length) * TRIGGER_BYTES)
    for (const [index, { name, kind, class: eventClass }] of fields.triggers.entries()) {
      for (const [part, value] of [name, kind, eventClass].entries()) this.#point(triggers, index * TRIGGER_BYTES + part * 8, text(value))
    }
    this.#point(struct, CONTEXT.triggers, triggers)
    struct.writeUInt32LE(fields.triggers.length, CONTEXT.triggerCount)
    struct.writeUInt32LE(fields.workerId, CONTEXT.workerId)
    struct.writeUInt32LE(OUT_BYTES, CONTEXT.outCapacity)
    struct.writeBigUInt64LE(koffi.address(this.out), CONTEXT.out)
    struct.writeBigUInt64LE(fields.send, CONTEXT.send)
    struct.writeBigUInt64LE(fields.ask, CONTEXT.ask)
    this.address = addressOf(struct)
  }

  /** Takes what the library has written: the length, which is 0 again then. */
  takeOut(): number {
    const length = this.#struct.readUInt32LE(CONTEXT.outLength)
    if (length !== 0) this.#struct.writeUInt32LE(0, CONTEXT.outLength)
    return length
  }

  set logLevel(level: number) {
    this.#struct.writeInt32LE(level, CONTEXT.logLevel)
  }

  /** The record that answers the library's last question; the caller keeps it alive. */
  set answer(record: Buffer) {
    this.#struct.writeBigUInt64LE(koffi.address(record), CONTEXT.answer)
  }

  #point(target: Buffer, at: number, to: Buffer): void {
    target.writeBigUInt64LE(koffi.address(to), at)
    this.#kept.push(to)
  }
}

function text(value: string): Buffer {
  const bytes = ownMemory(Buffer.byteLength(value) + 1)
  bytes.write(value)
  return bytes
}

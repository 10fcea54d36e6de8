import { InputError } from '../base/errors.ts'

/**
 * Where things lie in a channel's memory: one control page, then the ring to the guest, then the ring to the agent.
 * Every index and flag has a 128-byte line of its own, so the two sides never write the same cache line.
 * docs/ring.md is the specification; the Python guest has the same numbers.
 */
export const RING_MAGIC = 0x474e_5244
export const RING_VERSION = 1
export const CONTROL_BYTES = 4096

/** 1 MiB each way: a thousand events of 1 KiB in flight. */
export const RING_BYTES_DEFAULT = 1 << 20
export const RING_BYTES_MIN = 4096
export const RING_BYTES_MAX = 1 << 28
/** A body in a file or message of its own; larger ones are refused before anything is read. */
export const EXTERNAL_BODY_BYTES_MAX = 64 << 20

/** Indices of 32-bit words in the control page. */
export const WORD = { magic: 0, version: 1, toGuestBytes: 2, toAgentBytes: 3 } as const

/** Word indices of one ring's four control lines, and where its bytes are. */
export interface RingPlace {
  /** Bytes ever written, modulo 2^32; only the producer writes it. */
  readonly producer: number
  /** Bytes ever read, modulo 2^32; only the consumer writes it. */
  readonly consumer: number
  /** 1: the consumer is about to sleep and wants a doorbell. */
  readonly sleeping: number
  /** 1: the producer found no room and wants a doorbell. */
  readonly wantsRoom: number
  readonly dataAt: number
  readonly capacity: number
}

export interface Layout {
  readonly bytes: number
  readonly toGuest: RingPlace
  readonly toAgent: RingPlace
}

const LINE_WORDS = 32

function place(firstLine: number, dataAt: number, capacity: number): RingPlace {
  const word = firstLine * LINE_WORDS
  return {
    producer: word,
    consumer: word + LINE_WORDS,
    sleeping: word + 2 * LINE_WORDS,
    wantsRoom: word + 3 * LINE_WORDS,
    dataAt,
    capacity,
  }
}

export function isRingCapacity(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= RING_BYTES_MIN && bytes <= RING_BYTES_MAX && (bytes & (bytes - 1)) === 0
}

export function layoutOf(ringBytes: number): Layout {
  if (!isRingCapacity(ringBytes)) {
    throw new InputError(
      'ring-bytes',
      `Cannot make a ring: expected a power of two from ${RING_BYTES_MIN} to ${RING_BYTES_MAX} bytes, got ${ringBytes}`,
    )
  }
  return {
    bytes: CONTROL_BYTES + 2 * ringBytes,
    toGuest: place(1, CONTROL_BYTES, ringBytes),
    toAgent: place(5, CONTROL_BYTES + ringBytes, ringBytes),
  }
}

/** Writes the control page; the rest of the memory must be zero. */
export function formatMemory(memory: ArrayBufferLike, ringBytes: number): Layout {
  const layout = layoutOf(ringBytes)
  const words = new Int32Array(memory)
  words[WORD.version] = RING_VERSION
  words[WORD.toGuestBytes] = ringBytes
  words[WORD.toAgentBytes] = ringBytes
  // The agent cannot block: from the first moment it wants a doorbell.
  words[layout.toAgent.sleeping] = 1
  Atomics.store(words, WORD.magic, RING_MAGIC)
  return layout
}

/** A body is carried outside when its record would take more than a quarter of the ring: a full-size record always fits once the ring drains. */
export function inlineRecordBytesMax(capacity: number): number {
  return capacity >>> 2
}

/**
 * The record: one binary form for an event wherever it goes — the store's inbox, the shared-memory ring, a stream row,
 * a batch to the hub. Nothing on the event path is JSON, and nothing is encoded twice.
 *
 *   64-byte header (little-endian) | head (tagged items) | body (raw) | zero padding to 8
 *
 * docs/record.md is the specification; test vectors are in test/conformance/record/.
 */
export const RECORD_HEADER_BYTES = 64
export const RECORD_ALIGN = 8

/** Byte offsets in the header. */
export const AT = {
  /** u32: the whole record with its padding; a multiple of 8. */
  size: 0,
  /** u8: a Kind. */
  kind: 4,
  /** u8: Flag bits. */
  flags: 5,
  /**
   * u16: RESULT, CHUNK: the answer's status (200, 500, ...). LOG: the level (10 debug, 20 info, 30 warn, 40 error).
   * EVENT: low byte 1: forget the state; high byte: the level from which this event's log lines are wanted, 0: the function's own.
   */
  status: 6,
  /** u64 (< 2^53): the sender's number for this exchange; answers carry it back. */
  ticket: 8,
  /** u32: bytes of head. */
  headLength: 16,
  /** u32: bytes of body. */
  bodyLength: 20,
  /** u64: wall clock, microseconds since 1970, as the device knew it. */
  timeUs: 24,
  /** u64: monotonic clock of the device, nanoseconds. */
  monotonicNs: 32,
  /** 16 bytes: UUIDv7 of the event; of an EMIT: of the emitted event. Stable over retries. */
  id: 40,
  /** u16: index of the trigger in INIT's table (EVENT) . */
  source: 56,
  /** u16: which delivery of this event this is; the first is 1. */
  attempt: 58,
  /** u32: which start of the agent received the event (monotonicNs compares only within one). */
  boot: 60,
} as const

export const Kind = {
  /** Only in rings: skip to the start of the ring. */
  wrap: 0,
  // agent -> guest
  event: 1,
  init: 2,
  stop: 3,
  stateValue: 4,
  callResult: 5,
  /** More bytes of a streamed answer may be sent; none: nobody reads it any more. */
  credit: 6,
  // guest -> agent
  ready: 16,
  result: 17,
  emit: 18,
  publish: 19,
  stateSet: 20,
  stateDelete: 21,
  stateGet: 22,
  call: 23,
  log: 24,
  initFailed: 25,
  /** An event that was answered without being acknowledged: it is now, or it has failed. */
  ack: 26,
  /** A part of a streamed answer; RESULT ends it. */
  chunk: 27,
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

export const Flag = {
  qosMask: 0b0000_0011,
  retain: 0b0000_0100,
  /** The body is not in the record: it is in a mapping of its own (docs/ring.md). */
  externalBody: 0b0000_1000,
  /** STATE_VALUE: the key does not exist. */
  absent: 0b0001_0000,
  /** EVENT: the next one belongs to the same batch. */
  batchMore: 0b0001_0000,
  /** RESULT: answered, and not acknowledged by it: ACK comes later. */
  noAck: 0b0000_0001,
  /** RESULT with status 500 or more: the handler failed for its whole batch; nobody knows which event did it. */
  batchFailed: 0b0000_0010,
  /** Drained from the backlog after an outage. */
  replayed: 0b0010_0000,
  clockMask: 0b1100_0000,
} as const
export const CLOCK_SHIFT = 6
export type ClockQuality = 'unset' | 'floor' | 'synced'
export const CLOCK_QUALITIES: readonly ClockQuality[] = ['unset', 'floor', 'synced']

/** In a LOG's status. */
export const LOG_LEVELS = { debug: 10, info: 20, warn: 30, error: 40 } as const

/** Tags of head items. An item: u8 tag, u8 key length, u16 value length, key, value. Only headers and fields have a key. Unknown tags are skipped. */
export const Tag = {
  topic: 1,
  contentType: 2,
  orderKey: 3,
  method: 4,
  path: 5,
  url: 6,
  header: 7,
  field: 8,
  type: 9,
  typeVersion: 10,
  error: 11,
  stack: 12,
  stream: 13,
  key: 14,
  function: 15,
  fields: 16,
  shardId: 17,
  numShards: 18,
  offset: 19,
} as const
export type Tag = (typeof Tag)[keyof typeof Tag]

export const ITEM_HEADER_BYTES = 4
export const HEAD_KEY_BYTES_MAX = 255
export const HEAD_VALUE_BYTES_MAX = 65_535

/** Two u32 halves as one number; exact below 2^53. */
export function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000
}

export function writeU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true)
}

/** Bytes of a record with these parts, padding included. */
export function recordSize(headLength: number, bodyLength: number): number {
  return (RECORD_HEADER_BYTES + headLength + bodyLength + (RECORD_ALIGN - 1)) & ~(RECORD_ALIGN - 1)
}

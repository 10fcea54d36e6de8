/** kind: serial. Frames from a serial port: what comes between delimiters, of a fixed length, that a pattern finds, or before a pause. */
import * as v from 'valibot'
import { escapedBytes } from '../escaped-bytes.ts'
import { duration, integer, size } from '../fields.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'

const KiB = 1024
const MiB = 1024 * KiB

/** How frames are told apart. Exactly one is written. */
export type SerialFraming =
  | { readonly kind: 'delimiter'; readonly delimiter: Uint8Array; readonly includeDelimiter: boolean }
  | { readonly kind: 'length'; readonly bytes: number }
  | { readonly kind: 'lengthPrefix'; readonly bytes: 1 | 2 | 4; readonly order: 'big' | 'little' }
  | { readonly kind: 'regex'; readonly source: string }
  | { readonly kind: 'idle'; readonly ms: number }

export interface SerialTriggerConfig extends TriggerBase {
  readonly kind: 'serial'
  readonly path: string
  readonly baudRate: number
  readonly dataBits: 5 | 6 | 7 | 8
  readonly parity: 'none' | 'even' | 'odd' | 'mark' | 'space'
  readonly stopBits: 1 | 1.5 | 2
  readonly rtscts: boolean
  readonly framing: SerialFraming
  /** Longer frames are dropped, and counted. */
  readonly maxFrameBytes: number
  /** The handler's answer is written to the port. */
  readonly reply: boolean
}

const FRAMINGS = ['delimiter', 'length', 'lengthPrefix', 'regex', 'idle'] as const
const DELIMITER_BYTES_MAX = 16

/** `\r\n`, `\x03`: written as in C, so that YAML need not know. */
const delimiter = v.pipe(
  v.string(),
  v.check((given) => escapedBytes(given) !== null, 'text with the escapes \\n, \\r, \\t, \\0, \\\\ and \\xNN'),
  v.transform((given) => escapedBytes(given) ?? new Uint8Array()),
  v.check(({ length }) => length >= 1 && length <= DELIMITER_BYTES_MAX, `1 to ${DELIMITER_BYTES_MAX} bytes`),
)

const regex = v.pipe(
  v.string(),
  v.maxLength(1024, 'at most 1024 characters'),
  v.check(isRegex, 'a regular expression that does not match the empty text'),
)

const schema = v.strictObject({
  ...common,
  kind: v.literal('serial'),
  attributes: v.strictObject({
    path: v.pipe(
      v.string(),
      v.regex(/^\//, 'a device such as "/dev/ttyUSB0" or "/dev/serial/by-id/..."'),
      v.maxLength(4096, 'at most 4096 characters'),
    ),
    baudRate: v.optional(integer({ min: 50, max: 4_000_000 }), 9600),
    dataBits: v.optional(v.picklist([5, 6, 7, 8]), 8),
    parity: v.optional(v.picklist(['none', 'even', 'odd', 'mark', 'space']), 'none'),
    stopBits: v.optional(v.picklist([1, 1.5, 2]), 1),
    rtscts: v.optional(v.boolean(), false),
    delimiter: v.optional(delimiter),
    includeDelimiter: v.optional(v.boolean(), false),
    length: v.optional(integer({ min: 1, max: MiB })),
    lengthPrefix: v.optional(
      v.strictObject({ bytes: v.optional(v.picklist([1, 2, 4]), 2), order: v.optional(v.picklist(['big', 'little']), 'big') }),
    ),
    regex: v.optional(regex),
    idle: v.optional(duration({ min: 1, max: 60_000 })),
    /** 4 KiB: more than any meter, scale or reader sends at once, and no more than a garbled line may hold in memory. */
    maxFrameSize: v.optional(size({ min: 1, max: MiB }), '4KiB'),
    reply: v.optional(v.boolean(), false),
  }),
})

type Attributes = v.InferOutput<typeof schema>['attributes']

export const serial = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'source' },
  attributesWithoutEffect: {},
  compile({ attributes, delivery }, base, { checker, path }): SerialTriggerConfig | null {
    const at = [...path, 'attributes']
    const given = FRAMINGS.filter((name) => attributes[name] !== undefined)
    if (given.length > 1) {
      checker.add(at, `expected one of ${FRAMINGS.join(', ')}, got ${given.join(' and ')}`)
      return null
    }
    if (attributes.reply && delivery === 'durable') {
      checker.add(
        [...path, 'delivery'],
        'expected direct, because of reply: true, got durable',
        'the answer to a stored event comes when nobody waits for it',
      )
      return null
    }
    const { maxFrameSize, length, path: device, baudRate, dataBits, parity, stopBits, rtscts, reply } = attributes
    if (length !== undefined && length > maxFrameSize) {
      checker.add([...at, 'length'], `expected at most maxFrameSize (${maxFrameSize}), got ${length}`)
      return null
    }
    return {
      ...base,
      delivery: reply ? 'direct' : base.delivery,
      kind: 'serial',
      path: device,
      baudRate,
      dataBits,
      parity,
      stopBits,
      rtscts,
      framing: framingOf(attributes),
      maxFrameBytes: maxFrameSize,
      reply,
    }
  },
})

/** Lines, when nothing is said. */
function framingOf({ delimiter, includeDelimiter, length, lengthPrefix, regex, idle }: Attributes): SerialFraming {
  if (length !== undefined) return { kind: 'length', bytes: length }
  if (lengthPrefix !== undefined) return { kind: 'lengthPrefix', ...lengthPrefix }
  if (regex !== undefined) return { kind: 'regex', source: regex }
  if (idle !== undefined) return { kind: 'idle', ms: idle }
  return { kind: 'delimiter', delimiter: delimiter ?? Uint8Array.of(0x0a), includeDelimiter }
}

function isRegex(source: string): boolean {
  try {
    return !new RegExp(source).test('')
  } catch {
    return false
  }
}

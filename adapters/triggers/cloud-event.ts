/** One CloudEvent 1.0 (spec 1.0.2): its attributes as strings, checked. Pure. */
import { createHash } from 'node:crypto'
import { InputError } from '../../runtime/base/errors.ts'

export interface CloudEvent {
  /** All attributes but datacontenttype, as their canonical strings; extensions too. In order. */
  readonly attributes: ReadonlyMap<string, string>
  readonly dataContentType: string | undefined
  readonly data: Buffer
}

/** Attributes of one event, its data not among them. */
const ATTRIBUTES_MAX = 64
const REQUIRED = ['id', 'source', 'type'] as const
/** May be left out, and must not be empty when they are there. */
const OPTIONAL = ['subject', 'dataschema'] as const
const NAME = /^[a-z0-9]{1,64}$/
const MEDIA_TYPE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+\/[!#$%&'*+.^_`|~0-9A-Za-z-]+\s*(;.*)?$/
/** RFC 3339: date and time with an offset; a leap second is 60. */
const TIMESTAMP = /^\d{4}-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/
// oxlint-disable-next-line no-control-regex
const NOT_IN_STRINGS = /[\u0000-\u001f\u007f-\u009f\ufdd0-\ufdef\ufffe\uffff]/

/** Throws 'cloud-event'. */
export function addAttribute(attributes: Map<string, string>, name: string, value: string): void {
  if (!NAME.test(name)) throw invalid(`attribute names are lower-case letters and digits, got ${shown(name)}`)
  if (NOT_IN_STRINGS.test(value) || !value.isWellFormed()) throw invalid(`attribute ${name} has characters that are not allowed`)
  if (attributes.size >= ATTRIBUTES_MAX) throw invalid(`expected at most ${ATTRIBUTES_MAX} attributes`)
  attributes.set(name, value)
}

/** The whole event, or the first thing that is wrong with it. */
export function checked(attributes: Map<string, string>, dataContentType: string | undefined, data: Buffer): CloudEvent {
  const version = attributes.get('specversion')
  if (version !== '1.0') throw invalid(`expected specversion 1.0, got ${version === undefined ? 'none' : shown(version)}`)
  for (const name of REQUIRED) if (!attributes.get(name)) throw invalid(`attribute ${name} is missing or empty`)
  for (const name of OPTIONAL) if (attributes.get(name) === '') throw invalid(`attribute ${name} is empty: leave it out`)
  const schema = attributes.get('dataschema')
  if (schema !== undefined && !URL.canParse(schema)) throw invalid(`dataschema is no URI: ${shown(schema)}`)
  const time = attributes.get('time')
  if (time !== undefined && !isTimestamp(time)) throw invalid(`time is no RFC 3339 timestamp: ${shown(time)}`)
  if (dataContentType !== undefined && !MEDIA_TYPE.test(dataContentType)) throw invalid(`content type ${shown(dataContentType)} is none`)
  return { attributes, dataContentType, data }
}

function isTimestamp(text: string): boolean {
  const [, month, day, hour, minute, second] = TIMESTAMP.exec(text) ?? []
  return (
    month !== undefined &&
    Number(month) >= 1 &&
    Number(month) <= 12 &&
    Number(day) >= 1 &&
    Number(day) <= 31 &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 60
  )
}

/**
 * The id of our event: the same for the same (source, id), so that an event that its sender sends again is known again. A UUIDv8
 * (RFC 9562 5.8) of their SHA-256.
 */
export function eventIdOf({ attributes }: CloudEvent): Buffer {
  const source = Buffer.from(attributes.get('source')!)
  const length = Buffer.alloc(4)
  length.writeUInt32LE(source.length)
  const id = createHash('sha256').update(length).update(source).update(attributes.get('id')!).digest().subarray(0, 16)
  id[6] = (id[6]! & 0x0f) | 0x80
  id[8] = (id[8]! & 0x3f) | 0x80
  return id
}

export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}...` : text)
}

export const PREFIX = 'Cannot read the CloudEvent: '

/** Every error here begins so; what is wrong follows. */
export function invalid(what: string): InputError {
  return new InputError('cloud-event', PREFIX + what)
}

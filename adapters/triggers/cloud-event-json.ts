/** CloudEvents in JSON: one (structured mode) or many (batched mode). Pure. */
import { InputError } from '../../runtime/base/errors.ts'
import { addAttribute, checked, invalid, PREFIX, shown, type CloudEvent } from './cloud-event.ts'

/** Events of one batch: each is an event of its own on its way. */
export const BATCH_EVENTS_MAX = 1_000

/** What RFC 3986 lets a URI-reference be made of. */
const URI_REFERENCE = /^[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]+$/
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
const INTEGER_MIN = -2_147_483_648
const INTEGER_MAX = 2_147_483_647
const JSON_TYPE = /^[^/;]+\/(?:[^/;]+\+)?json\s*(?:;|$)/i

/** Throws 'cloud-event'. */
export function readStructured(body: Buffer): CloudEvent {
  return fromJson(parse(body))
}

/** Throws 'cloud-event', with the number of the event that is wrong; or 'cloud-event-batch-max'. */
export function readBatch(body: Buffer): CloudEvent[] {
  const given = parse(body)
  if (!Array.isArray(given)) throw invalid('expected a JSON array of events, got another value')
  if (given.length > BATCH_EVENTS_MAX) {
    throw new InputError('cloud-event-batch-max', `Expected at most ${BATCH_EVENTS_MAX} events in a batch, got ${given.length}`)
  }
  return given.map((event, index) => {
    try {
      return fromJson(event)
    } catch (error) {
      throw invalid(`event ${index}: ${(error as Error).message.replace(PREFIX, '')}`)
    }
  })
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(UTF8.decode(body))
  } catch (cause) {
    // Too deep is an error of ranges, not of syntax; it is the sender's all the same.
    throw invalid(`the body is not JSON in UTF-8: ${(cause as Error).message}`)
  }
}

function fromJson(given: unknown): CloudEvent {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw invalid('expected a JSON object, got another value')
  const attributes = new Map<string, string>()
  let dataContentType: string | undefined
  for (const [name, value] of Object.entries(given)) {
    if (name === 'data' || name === 'data_base64' || value === null) continue
    const text = attributeText(name, value)
    if (name === 'datacontenttype') dataContentType = text
    else addAttribute(attributes, name, text)
  }
  const { data, isJson } = dataOf(given, dataContentType)
  const source = attributes.get('source')
  if (source && !URI_REFERENCE.test(source)) throw invalid(`source is no URI reference: ${shown(source)}`)
  return checked(attributes, dataContentType ?? (isJson ? 'application/json' : undefined), data)
}

/** `data` is JSON unless the content type says otherwise; then it is text. */
function dataOf(given: object, contentType: string | undefined): { data: Buffer; isJson: boolean } {
  const { data, data_base64: base64 } = given as { data?: unknown; data_base64?: unknown }
  if (base64 !== undefined && base64 !== null) {
    if (data !== undefined && data !== null) throw invalid('expected data or data_base64, got both')
    if (typeof base64 !== 'string' || base64.length % 4 !== 0 || !BASE64.test(base64)) throw invalid('data_base64 is not base64')
    return { data: Buffer.from(base64, 'base64'), isJson: false }
  }
  if (data === undefined) return { data: Buffer.alloc(0), isJson: false }
  if (contentType === undefined || JSON_TYPE.test(contentType)) return { data: Buffer.from(JSON.stringify(data)), isJson: true }
  if (data === null) return { data: Buffer.alloc(0), isJson: false }
  if (typeof data !== 'string') throw invalid(`data of content type ${contentType} must be a string, got ${typeof data}`)
  return { data: Buffer.from(data), isJson: false }
}

function attributeText(name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < INTEGER_MIN || value > INTEGER_MAX) {
      throw invalid(`attribute ${name} is no 32-bit integer: ${value}`)
    }
    return String(value)
  }
  throw invalid(`attribute ${shown(name)} must be a string, a boolean or an integer, got ${Array.isArray(value) ? 'a list' : typeof value}`)
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

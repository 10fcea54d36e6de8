/** The HTTP binding of CloudEvents 1.0: which mode a request is in, headers in binary mode, and the headers of an answer. */
import { randomUUID } from 'node:crypto'
import { InputError } from '../../runtime/base/errors.ts'
import { addAttribute, checked, invalid, type CloudEvent } from './cloud-event.ts'

export type ContentMode = 'structured' | 'batched'

const HEADER_PREFIX = 'ce-'
const TYPE_HEADER = 'ce-type'
const CHARSETS = ['utf-8', 'utf8', 'us-ascii']

/**
 * The mode that a content type says; null: binary, or no CloudEvent at all. Throws 'media-type' for a format or a charset that is
 * not spoken here.
 */
export function modeOf(contentType: string | undefined): ContentMode | null {
  const lower = contentType?.toLowerCase() ?? ''
  if (!lower.startsWith('application/cloudevents')) return null
  const [type, ...parameters] = lower.split(';').map((part) => part.trim())
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice(8)
    .replaceAll('"', '')
  if (charset !== undefined && !CHARSETS.includes(charset)) {
    throw new InputError('media-type', `Expected charset utf-8, got ${charset}`)
  }
  if (type === 'application/cloudevents+json') return 'structured'
  if (type === 'application/cloudevents-batch+json') return 'batched'
  throw new InputError('media-type', `Expected the JSON format of CloudEvents (application/cloudevents+json or -batch+json), got ${type}`)
}

/** Whether headers say that this is a CloudEvent in binary mode. */
export function isBinaryMode(names: readonly string[]): boolean {
  return names.includes('ce-specversion')
}

/** Headers with lower-case names. Throws 'cloud-event'. */
export function readBinary(names: readonly string[], values: readonly string[], contentType: string | undefined, body: Buffer): CloudEvent {
  const attributes = new Map<string, string>()
  for (let i = 0; i < names.length; i++) {
    if (!names[i]!.startsWith(HEADER_PREFIX)) continue
    const name = names[i]!.slice(HEADER_PREFIX.length)
    if (name === 'datacontenttype') throw invalid('expected the data content type in Content-Type alone, got ce-datacontenttype')
    addAttribute(attributes, name, decodeHeader(name, values[i]!))
  }
  return checked(attributes, contentType, body)
}

/** A header's value for an attribute: HTTP binding 3.1.3.2. */
export function encodeHeader(value: string): string {
  return value.replace(/[^\u0021\u0023\u0024\u0026-\u007e]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** Unquotes, then decodes percent-encoding once. What is no encoding (`50%`) stays. */
export function decodeHeader(name: string, raw: string): string {
  const text = raw.length > 1 && raw.startsWith('"') && raw.endsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, '$1') : raw
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (run) => {
    try {
      return UTF8.decode(Buffer.from(run.replaceAll('%', ''), 'hex'))
    } catch {
      throw invalid(`header ce-${name} is not percent-encoded UTF-8`)
    }
  })
}

/**
 * The headers of an answer in binary mode: values encoded, what is missing filled in, with the function's name as the source. null:
 * without `ce-type` the answer is no CloudEvent.
 */
export function answerHeaders(given: Record<string, string>, functionName: string): Record<string, string> | null {
  let isEvent = false
  for (const key in given) if (key.length === TYPE_HEADER.length && key.toLowerCase() === TYPE_HEADER) isEvent = true
  if (!isEvent) return null
  const headers: Record<string, string> = Object.create(null)
  for (const key of Object.keys(given)) {
    const lower = key.toLowerCase()
    if (lower.startsWith(HEADER_PREFIX)) headers[lower] = encodeHeader(given[key]!)
    else headers[key] = given[key]!
  }
  headers['ce-specversion'] ??= '1.0'
  headers['ce-id'] ??= randomUUID()
  headers['ce-source'] ??= `/${functionName}`
  return headers
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false })

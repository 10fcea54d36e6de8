/** What a request says before its body is read, checked. Pure: answers are somebody else's. */
import type { IncomingMessage } from 'node:http'
import type { HeadWriter } from '../../runtime/event/head.ts'
import { Tag } from '../../runtime/event/record.ts'

/** Why a request is not taken, and the status that says so. */
export interface Fault {
  readonly status: number
  readonly text: string
}

/** The request target (RFC 9112 3.2), origin or absolute form. */
export interface RequestTarget {
  /** As it was sent. */
  readonly url: string
  /** As it was sent, without the query: routes are found by it, so `%2F` is no separator. */
  readonly rawPath: string
  /** Percent-decoded. */
  readonly path: string
  readonly query: string | undefined
}

/** Headers with lower-case names; those that came more than once are joined (RFC 9110 5.3). */
export interface RequestHeaders {
  readonly names: readonly string[]
  readonly values: readonly string[]
  get(name: string): string | undefined
}

const ABSOLUTE_FORM = /^https?:\/\/[^/?]*/i
const DOT_SEGMENT = /(?:^|\/)\.\.?(?:\/|$)/
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

export function readTarget(url: string): RequestTarget | Fault {
  const origin = url.charCodeAt(0) === SLASH ? url : url.replace(ABSOLUTE_FORM, '')
  const mark = origin.indexOf('?')
  const rawPath = (mark === -1 ? origin : origin.slice(0, mark)) || '/'
  const query = mark === -1 ? undefined : origin.slice(mark + 1)
  if (rawPath.charCodeAt(0) !== SLASH) return { status: 400, text: 'Expected a path that begins with "/"' }
  const path = decode(rawPath)
  if (path === undefined) return { status: 400, text: 'The path is not percent-encoded UTF-8' }
  if (CONTROL.test(path)) return { status: 400, text: 'The path has control characters' }
  // Clients resolve them before they send (RFC 3986 5.2.4); what comes here is meant to get past a rule of a proxy.
  if (rawPath.includes('.') || path !== rawPath) {
    if (DOT_SEGMENT.test(path)) return { status: 400, text: 'The path has "." or ".." segments' }
  }
  return { url, rawPath, path, query }
}

export function isFault(value: object): value is Fault {
  return 'status' in value
}

/** undefined when it does not decode. */
export function decode(raw: string): string | undefined {
  if (!raw.includes('%')) return raw
  try {
    return decodeURIComponent(raw)
  } catch {
    return undefined
  }
}

class HeaderList implements RequestHeaders {
  readonly names: string[] = []
  readonly values: string[] = []

  get(name: string): string | undefined {
    const at = this.names.indexOf(name)
    return at === -1 ? undefined : this.values[at]
  }
}

/** Two Host headers, or none: a request that proxies and servers would understand differently. Node takes two. */
export function readHeaders(request: IncomingMessage, headersMax: number): RequestHeaders | Fault {
  const { rawHeaders } = request
  if (rawHeaders.length > headersMax * 2) return { status: 431, text: `The request has more than ${headersMax} headers` }
  const headers = new HeaderList()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = lowerCase(rawHeaders[i]!)
    const value = textOf(rawHeaders[i + 1]!)
    const before = headers.names.indexOf(name)
    if (before === -1) {
      headers.names.push(name)
      headers.values.push(value)
    } else if (name === 'host' || name === 'content-type') return { status: 400, text: `Expected exactly one ${name} header` }
    else headers.values[before] += (name === 'cookie' ? '; ' : ', ') + value
  }
  // HTTP/1.0 knows no Host.
  if (request.httpVersion !== '1.0' && headers.get('host') === undefined) return { status: 400, text: 'Expected exactly one Host header' }
  return headers
}

/** Node gives each byte as one character; most of what is not ASCII is UTF-8. */
function textOf(value: string): string {
  // oxlint-disable-next-line no-control-regex
  if (!/[\u0080-\u00ff]/.test(value)) return value
  const text = Buffer.from(value, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? value : text
}

/** Header names are few and come again and again. */
const lowerNames = new Map<string, string>()
const LOWER_NAMES_MAX = 512
const LOWER_NAME_LENGTH_MAX = 64

function lowerCase(name: string): string {
  const known = lowerNames.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase()
  if (lowerNames.size < LOWER_NAMES_MAX && name.length <= LOWER_NAME_LENGTH_MAX) lowerNames.set(name, lower)
  return lower
}

/** Parameters of the route, decoded, or what is wrong with them. */
export function readParameters(raw: readonly (readonly [string, string])[]): (readonly [string, string])[] | Fault {
  const found: (readonly [string, string])[] = []
  for (const [name, value] of raw) {
    const decoded = decode(value)
    if (decoded === undefined) return { status: 400, text: `The path segment ${name} is not percent-encoded UTF-8` }
    found.push([name, decoded])
  }
  return found
}

/** Writes everything but the body. The query's fields come first: a parameter of the path wins over a field of its name. */
export function addRequest(
  head: HeadWriter,
  method: string,
  target: RequestTarget,
  headers: Pick<RequestHeaders, 'names' | 'values'>,
  parameters: readonly (readonly [string, string])[] | undefined,
): void {
  head.add(Tag.method, method)
  head.add(Tag.url, target.url)
  head.add(Tag.path, target.path)
  if (target.query) for (const [key, value] of new URLSearchParams(target.query)) head.add(Tag.field, value, key)
  if (parameters) for (const [name, value] of parameters) head.add(Tag.field, value, name)
  const { names, values } = headers
  for (let i = 0; i < names.length; i++) {
    const name = names[i]!
    if (name === 'content-type') head.add(Tag.contentType, values[i]!)
    head.add(Tag.header, values[i]!, name)
  }
}

const SLASH = 0x2f

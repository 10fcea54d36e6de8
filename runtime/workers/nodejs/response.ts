/** Nuclio's way to say that an event is not acknowledged by its answer; ensureNoAck() sets it. */
const NO_ACK_HEADER = 'x-nuclio-stream-no-ack'

/** A full answer: `return new context.Response({ body, headers, contentType, statusCode })`, or Nuclio's positional form. */
export class Response {
  readonly body: unknown
  readonly headers: Record<string, unknown>
  readonly contentType: string | undefined
  readonly statusCode: number
  /** Of a batch: whose answer this is. */
  readonly eventId: string | undefined

  constructor(body: unknown = '', headers?: Record<string, unknown>, contentType?: string, statusCode?: number, eventId?: string) {
    const isPositional = [headers, contentType, statusCode, eventId].some((given) => given !== undefined)
    const given = !isPositional && isOptions(body) ? body : { body, headers, contentType, statusCode, eventId }
    this.body = given.body ?? ''
    this.headers = given.headers ?? {}
    this.contentType = given.contentType ?? given.content_type
    this.statusCode = given.statusCode ?? given.status_code ?? 200
    this.eventId = given.eventId ?? given.event_id
  }

  /** The event stays unacknowledged until context.platform.explicitAck. */
  ensureNoAck(): this {
    this.headers[NO_ACK_HEADER] = true
    return this
  }

  ensure_no_ack(): this {
    return this.ensureNoAck()
  }
}

/** Whether a response leaves its event unacknowledged. */
export function isNoAck({ headers }: Response): boolean {
  return Object.keys(headers).some((name) => name.toLowerCase() === NO_ACK_HEADER && headers[name] !== false && headers[name] !== 'false')
}

/** The headers that its caller gets. */
export function* headersOf({ headers }: Response): Generator<[name: string, value: string]> {
  for (const name of Object.keys(headers)) if (name.toLowerCase() !== NO_ACK_HEADER) yield [name, String(headers[name])]
}

interface ResponseOptions {
  body?: unknown
  headers?: Record<string, unknown> | undefined
  contentType?: string | undefined
  content_type?: string | undefined
  statusCode?: number | undefined
  status_code?: number | undefined
  eventId?: string | undefined
  event_id?: string | undefined
}

const OPTIONS: readonly string[] = ['statusCode', 'status_code', 'contentType', 'content_type', 'eventId', 'event_id']

/** By a name that only a response has, or by having nothing else than a body and headers. */
function isOptions(value: unknown): value is ResponseOptions {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) return false
  const names = Object.keys(value)
  if (names.some((name) => OPTIONS.includes(name))) return true
  return names.length > 0 && names.every((name) => name === 'body' || name === 'headers')
}

/** Answers on their way out: a handler's, and our own short ones. */
import type { ServerResponse } from 'node:http'
import type { Answer } from '../../runtime/dispatch/delivery.ts'

/** How an answer goes to a client that may be slow. */
export interface SendOptions {
  /** Names and values beside the handler's own (CORS, logs). */
  readonly extra: readonly string[]
  readonly stallTimeoutMs: number
}

/** Up to here an answer leaves in one piece with its headers. */
const ONE_PIECE_BYTES_MAX = 8_192
/** The kernel takes so much at once; what is longer is given in slices, so that a client that does not read is noticed. */
const WHOLE_BYTES_MAX = 64 * 1024
const SLICE_BYTES = 16 * 1024

/** Headers that belong to the connection, not to the answer. */
const FORBIDDEN = new Set([
  'content-length',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'upgrade',
  'trailer',
  'proxy-connection',
  'te',
])
/** Merged with ours instead of standing beside it. */
const VARY = 'vary'

export function send(response: ServerResponse, answer: Answer, { extra, stallTimeoutMs }: SendOptions): void {
  const isBareError = answer.error !== undefined && answer.body.length === 0
  const body = isBareError ? Buffer.from(`${answer.error}\n`) : answer.body
  const contentType = isBareError ? 'text/plain; charset=utf-8' : answer.contentType
  const status = statusOf(answer.status)
  const hasBody = status !== 204 && status !== 304
  const headers = hasBody ? ['content-length', String(body.length)] : []
  if (contentType !== undefined && hasBody) headers.push('content-type', contentType)
  addHeaders(headers, answer.headers, extra)
  try {
    response.writeHead(status, headers)
  } catch {
    // A handler's header that HTTP does not allow (a newline in it, say) must not become a response of another shape.
    return end(response, 500, 'The function answered with a header that is not allowed')
  }
  if (!hasBody) response.end()
  // Node writes headers and a latin1 text in one piece; a Buffer would cost a second one. The bytes are the same.
  else if (body.length <= ONE_PIECE_BYTES_MAX) response.end(body.toString('latin1'), 'latin1')
  else if (body.length <= WHOLE_BYTES_MAX) response.end(body)
  else sendSlices(response, body, stallTimeoutMs)
}

export function addHeaders(headers: string[], answer: Record<string, string>, extra: readonly string[]): void {
  for (const name of Object.keys(answer)) if (!FORBIDDEN.has(name.toLowerCase())) headers.push(name, answer[name]!)
  for (let i = 0; i < extra.length; i += 2) {
    const name = extra[i]!
    const at = name === VARY ? indexOfName(headers, VARY) : -1
    if (at === -1) headers.push(name, extra[i + 1]!)
    else headers[at + 1] += `, ${extra[i + 1]!}`
  }
}

function indexOfName(headers: readonly string[], name: string): number {
  for (let i = 0; i < headers.length; i += 2) if (headers[i]!.toLowerCase() === name) return i
  return -1
}

export function statusOf(status: number): number {
  return Number.isInteger(status) && status >= 200 && status <= 599 ? status : 500
}

/** Each slice must have left within `stallTimeoutMs`, or the client does not want it. */
function sendSlices(response: ServerResponse, body: Buffer, stallTimeoutMs: number): void {
  let at = 0
  const timer = setTimeout(() => response.destroy(), stallTimeoutMs)
  response.on('close', () => clearTimeout(timer))
  const next = (error?: Error | null) => {
    if (error || response.destroyed) return
    timer.refresh()
    const slice = body.subarray(at, at + SLICE_BYTES)
    at += slice.length
    if (at < body.length) response.write(slice, next)
    else response.end(slice)
  }
  next()
}

/** An answer of ours. `headers`: names and values. */
export function end(response: ServerResponse, status: number, text: string, headers: readonly string[] = []): void {
  if (response.headersSent) return
  const line = `${text}\n`
  response.writeHead(status, [
    'content-type',
    'text/plain; charset=utf-8',
    'content-length',
    String(Buffer.byteLength(line)),
    ...(status === 503 ? RETRY_AFTER : []),
    ...headers,
  ])
  response.end(line)
}

export function endJson(response: ServerResponse, status: number, value: unknown, headers: readonly string[] = []): void {
  const body = JSON.stringify(value)
  response.writeHead(status, ['content-type', 'application/json', 'content-length', String(Buffer.byteLength(body)), ...headers])
  response.end(body)
}

/** 1 s: a worker that starts or a queue that is full is another one by then. */
const RETRY_AFTER = ['retry-after', '1'] as const

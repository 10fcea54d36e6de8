import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CorsConfig } from '../../config/function-config.ts'
import { codeOf } from '../../runtime/base/errors.ts'
import { uuidText } from '../../runtime/base/uuid.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { AT, Tag } from '../../runtime/event/record.ts'
import type { Trigger, TriggerContext, TriggerSink } from '../../runtime/functions/trigger.ts'
import { hasOneHost, HttpListener, type HttpHandler } from './http-listener.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/** A trigger's own port is for this machine; the shared listener has a setting for more. */
const LOOPBACK = '127.0.0.1'

/**
 * Requests become events. Delivery `direct`: the handler's answer is the response, after the commit of what it emitted.
 * `durable`: 202 with the event's id when the event is committed.
 */
export function openHttpTrigger(config: TriggerOf<'http'>, { sink, functionName }: TriggerContext, services: TriggerServices): Trigger {
  const own =
    config.port === null
      ? undefined
      : new HttpListener({ host: LOOPBACK, port: config.port }, `spec.triggers.${config.name}.attributes.port of ${functionName}`)
  const listener = own ?? services.http
  const handler: HttpHandler = (request, response) => {
    if (!hasOneHost(request)) return end(response, 400, 'Expected exactly one Host header\n')
    if (config.cors && answersPreflight(config.cors, request, response)) return
    readBody(request, config.maxRequestBodyBytes, (body) => {
      if (body === null) return end(response, 413, `The body is larger than ${config.maxRequestBodyBytes} bytes\n`, true)
      let record: Buffer
      try {
        record = toRecord(request, body, sink)
      } catch (error) {
        sink.events.head.reset()
        return end(response, 431, `${(error as Error).message}\n`)
      }
      if (config.delivery === 'durable') {
        sink.accept(record, (error) => {
          if (!error) return endJson(response, 202, { id: uuidText(record, AT.id) })
          end(response, codeOf(error) === 'store-full' ? 507 : 503, `${error.message}\n`)
        })
      } else sink.invoke(record, (answer) => send(response, answer))
    })
  }
  return {
    async start() {
      for (const path of config.paths) await listener.add(path, handler)
    },
    async stop() {
      for (const path of config.paths) listener.remove(path, handler)
      await own?.close()
    },
  }
}

function readBody(request: IncomingMessage, bytesMax: number, done: (body: Buffer | null) => void): void {
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > bytesMax) {
    done(null)
    return
  }
  if (announced === 0 && request.headers['transfer-encoding'] === undefined) return done(EMPTY)
  const chunks: Buffer[] = []
  let bytes = 0
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= bytesMax) chunks.push(chunk)
    else if (bytes - chunk.length <= bytesMax) done(null)
  })
  request.on('end', () => {
    if (bytes <= bytesMax) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
  })
  // The client went away: there is nobody to answer.
  request.on('error', () => {})
}

function toRecord(request: IncomingMessage, body: Buffer, { events }: TriggerSink): Buffer {
  const { head } = events
  const url = request.url ?? '/'
  const query = url.indexOf('?')
  head.add(Tag.method, request.method ?? 'GET')
  head.add(Tag.url, url)
  head.add(Tag.path, query === -1 ? url : url.slice(0, query))
  if (query !== -1) for (const [key, value] of new URLSearchParams(url.slice(query + 1))) head.add(Tag.field, value, key)
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    if (name.length === 12 && name.toLowerCase() === 'content-type') head.add(Tag.contentType, rawHeaders[i + 1]!)
    head.add(Tag.header, rawHeaders[i + 1]!, name)
  }
  return events.finish(body)
}

function send(response: ServerResponse, answer: Answer): void {
  const isBareError = answer.error !== undefined && answer.body.length === 0
  const body = isBareError ? Buffer.from(`${answer.error}\n`) : answer.body
  const contentType = isBareError ? 'text/plain; charset=utf-8' : answer.contentType
  const headers = ['content-length', String(body.length)]
  if (contentType !== undefined) headers.push('content-type', contentType)
  for (const key of Object.keys(answer.headers)) if (!FORBIDDEN.has(key.toLowerCase())) headers.push(key, answer.headers[key]!)
  try {
    response.writeHead(statusOf(answer.status), headers)
  } catch {
    // A handler's header that HTTP does not allow (a newline in it, say) must not become a response of another shape.
    return end(response, 500, 'The function answered with a header that is not allowed\n')
  }
  // Node writes headers and a latin1 text in one piece; a Buffer would cost a second one. The bytes are the same.
  if (body.length <= ONE_PIECE_BYTES_MAX) response.end(body.toString('latin1'), 'latin1')
  else response.end(body)
}

const ONE_PIECE_BYTES_MAX = 8_192

const FORBIDDEN = new Set(['content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'trailer'])

function statusOf(status: number): number {
  return status >= 200 && status <= 599 ? status : 500
}

function end(response: ServerResponse, status: number, text: string, close = false): void {
  if (response.headersSent) return
  const length = Buffer.byteLength(text)
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'content-length': length,
    ...(close ? { connection: 'close' } : {}),
  })
  response.end(text)
}

function endJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(value))
}

/** Sets the CORS headers; true when the request was a preflight and is answered. */
function answersPreflight(cors: CorsConfig, request: IncomingMessage, response: ServerResponse): boolean {
  const { origin } = request.headers
  const allowed = origin !== undefined && (cors.allowOrigins.includes(origin) || cors.allowOrigins.includes('*'))
  if (allowed) {
    response.setHeader('access-control-allow-origin', origin)
    response.setHeader('vary', 'origin')
    if (cors.allowCredentials) response.setHeader('access-control-allow-credentials', 'true')
  }
  if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
  if (allowed) {
    response.setHeader('access-control-allow-methods', cors.allowMethods.join(', '))
    response.setHeader('access-control-allow-headers', cors.allowHeaders.join(', '))
    response.setHeader('access-control-max-age', String(cors.preflightMaxAgeSeconds))
  }
  response.writeHead(allowed ? 204 : 403)
  response.end()
  return true
}

const EMPTY = Buffer.alloc(0)

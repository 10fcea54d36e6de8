/**
 * The HTTPS side of the hub. One table of routes; a request is found, let in, read and answered in that order, so that nothing of a
 * body is read before its sender may send it. Answers come after the commit of what they say.
 */
import Koa from 'koa'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { HubLimits } from '../../config/hub-config.ts'
import type { Listen } from '../../config/listen.ts'
import { InputError, ResourceError, TrustError, codeOf } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { checkShape } from '../json/check-shape.ts'
import { parseJson } from '../json/parse-json.ts'
import type { Device, Devices } from '../registry/devices.ts'
import type { AdminToken } from './admin-token.ts'
import { errorAnswer } from './error-answer.ts'
import { readBody } from './read-body.ts'
import type { Route } from './route.ts'
import { Router } from './router.ts'

const HANDSHAKE_TIMEOUT_MS = 10_000
const HEADERS_TIMEOUT_MS = 10_000
const BODY_TIMEOUT_MS = 15_000
/** No byte either way for so long: the connection is closed. Also ends slow readers and slow uploads. */
const IDLE_TIMEOUT_MS = 30_000
const REQUEST_TIMEOUT_MS = 60 * 60 * 1000
const HEADER_BYTES_MAX = 16 * 1024

export interface ApiParts {
  readonly routes: readonly Route[]
  readonly adminToken: AdminToken
  readonly devices: Devices
  readonly tls: { readonly key: string; readonly chain: string; readonly ca: string }
  readonly logger: Logger
}

export class ApiServer {
  readonly #parts: ApiParts
  readonly #options: { readonly listen: Listen; readonly limits: HubLimits }
  readonly #router: Router
  readonly #server: Server

  constructor(parts: ApiParts, options: { listen: Listen; limits: HubLimits }) {
    this.#parts = parts
    this.#options = options
    this.#router = new Router(parts.routes)
    const app = new Koa()
    app.use((http) => this.#answer(http))
    app.on('error', (error) => parts.logger.debug({ err: error }, 'connection ended early'))
    const { key, chain, ca } = parts.tls
    this.#server = createServer(
      {
        key,
        cert: chain,
        ca,
        requestCert: true,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.2',
        maxHeaderSize: HEADER_BYTES_MAX,
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      },
      app.callback(),
    )
    this.#server.headersTimeout = HEADERS_TIMEOUT_MS
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS
    this.#server.timeout = IDLE_TIMEOUT_MS
    this.#server.maxConnections = options.limits.connectionsMax
  }

  async open(): Promise<void> {
    const { host, port } = this.#options.listen
    try {
      this.#server.listen({ host, port })
      await once(this.#server, 'listening')
    } catch (cause) {
      throw listenError(cause, host, port)
    }
  }

  get address(): Listen {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }

  async close(): Promise<void> {
    if (!this.#server.listening) return
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeIdleConnections()
    const timer = setTimeout(() => this.#server.closeAllConnections(), 2000)
    await closed
    clearTimeout(timer)
  }

  async #answer(http: Koa.Context): Promise<void> {
    const startedMs = performance.now()
    http.set({ 'X-Content-Type-Options': 'nosniff', 'Cache-Control': 'no-store' })
    try {
      await this.#handle(http)
    } catch (error) {
      this.#fail(http, error)
    }
    const { method, path, status } = http
    this.#parts.logger.debug({ method, path, status, ms: Math.round(performance.now() - startedMs) }, 'request')
  }

  async #handle(http: Koa.Context): Promise<void> {
    checkHost(http.req.rawHeaders)
    const { route, params } = this.#router.find(http.method, http.path)
    const device = this.#letIn(route, http)
    const address = http.req.socket.remoteAddress ?? ''
    const body = route.body ? await this.#readJson(route, http) : undefined
    const query = new URLSearchParams(http.querystring)
    const answer = await route.handler({ params, query, body: body as never, device, address, http })
    if (answer !== undefined) http.body = answer
  }

  #letIn({ auth }: Route, http: Koa.Context): Device | undefined {
    if (auth === 'operator' && !this.#parts.adminToken.matches(http.get('Authorization'))) {
      http.set('WWW-Authenticate', 'Bearer')
      throw new TrustError('operator-token-required', 'Cannot do this without the operator token', {
        hint: "It is in the file admin-token of the hub's data directory",
      })
    }
    return auth === 'device' ? this.#authenticateDevice(http.req.socket as TLSSocket) : undefined
  }

  #authenticateDevice(socket: TLSSocket): Device {
    if (!socket.authorized)
      throw new TrustError('device-certificate-required', 'Cannot do this without a device certificate of this hub', {
        hint: 'Enrol the device first',
      })
    return this.#parts.devices.authenticate(socket.getPeerCertificate())
  }

  async #readJson(route: Route, http: Koa.Context): Promise<unknown> {
    if (!http.is('application/json'))
      throw new InputError('content-type-unknown', 'Cannot read the body: expected Content-Type: application/json')
    const bytesMax = route.bodyBytesMax ?? this.#options.limits.requestBytesMax
    return checkShape(route.body!, parseJson(await readBody(http.req, { bytesMax, timeoutMs: BODY_TIMEOUT_MS })), 'body')
  }

  #fail(http: Koa.Context, error: unknown): void {
    const { status, body } = errorAnswer(error)
    if (status >= 500) this.#parts.logger.error({ err: error, method: http.method, path: http.path }, 'request failed')
    else if (status === 401 || status === 403)
      this.#parts.logger.warn(
        { code: codeOf(error), method: http.method, path: http.path, address: http.req.socket.remoteAddress },
        'request refused',
      )
    http.status = status
    http.remove('Content-Length')
    http.body = body
    // What is left of the body is not read: the connection cannot be used again.
    if (!http.req.complete) http.set('Connection', 'close')
  }
}

/** Two Host headers are an attempt to be two hosts at once (RFC 9112, 3.2); Node takes the first. */
function checkHost(rawHeaders: readonly string[]): void {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.toLowerCase() === 'host') hosts++
  if (hosts > 1) throw new InputError('host-repeated', 'Cannot answer a request with more than one Host header')
}

function listenError(cause: unknown, host: string, port: number): Error {
  if (codeOf(cause) !== 'EADDRINUSE' && codeOf(cause) !== 'EACCES') return cause as Error
  const why = codeOf(cause) === 'EACCES' ? 'this user may not use the port' : 'something else listens there'
  return new ResourceError('port-taken', `Cannot listen on ${host}:${port} (api): ${why}`, {
    cause,
    hint: 'Change "api" in hub.yaml or --api-listen',
  })
}

import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { HttpLimits, HttpServerConfig } from '../../config/http-server.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import { silentLogger, type Logger } from '../../runtime/base/log.ts'
import { end } from './http-answer.ts'
import { ConnectionCounter, StallWatch } from './http-connections.ts'
import { hostCheck, isLoopbackAddress, type HostCheck } from './http-hosts.ts'
import { isFault, readHeaders, readParameters, readTarget, type Fault, type RequestHeaders, type RequestTarget } from './http-request.ts'
import { RouteTable } from './http-routes.ts'
import { readTlsFiles, reloadOnChange } from './http-tls.ts'

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** A request whose headers were read and found right. */
export interface HttpCall {
  readonly request: IncomingMessage
  readonly target: RequestTarget
  readonly headers: RequestHeaders
  /** Of the route, decoded. */
  readonly parameters: readonly (readonly [name: string, value: string])[] | undefined
}

/** Who answers what comes to its paths. */
export interface HttpRoute {
  onRequest(call: HttpCall, response: ServerResponse): void
  /** An Upgrade request; without it, it is refused. */
  onUpgrade?(call: HttpCall, socket: Duplex, firstBytes: Buffer): void
}

/** How often connections are looked at for time-outs: they end at most so much late. */
const CHECK_EVERY_MS = 1_000
/** Connections that are still busy when the port is closed. */
const CLOSE_GRACE_MS = 1_000
/** Requests of one connection that wait for their answers: one client must not fill the queue of a function. */
const UNANSWERED_MAX = 100
/** Refused connections are logged at most so often. */
const REFUSAL_LOG_MS = 60_000
/** Paths in the answer to a developer who asks for one that is not there. */
const PATHS_TOLD_MAX = 20

/** One HTTP port of the device: paths of several functions beside each other, the longest that fits wins. */
export class HttpListener {
  readonly #config: HttpServerConfig
  readonly #setting: string
  readonly #logger: Logger
  readonly #routes = new RouteTable<HttpRoute>()
  readonly #isHostAllowed: HostCheck
  readonly #connections: ConnectionCounter
  readonly #stalls = new StallWatch()
  #server: Server | undefined
  #opening: Promise<void> | undefined
  #stopReloading: () => void = () => {}
  #refusedLoggedMs = -Infinity

  /** `setting` names where the port is configured, for the error when it is taken. */
  constructor(config: HttpServerConfig, setting: string, logger: Logger = silentLogger) {
    this.#config = config
    this.#setting = setting
    this.#logger = logger
    this.#isHostAllowed = hostCheck(config.allowedHosts, config.listen.host)
    this.#connections = new ConnectionCounter(config.limits.connectionsPerAddressMax, () => this.#refused())
  }

  get limits(): HttpLimits {
    return this.#config.limits
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#connections.open
  }

  /** The real address; undefined while nothing listens. */
  get address(): ListenAddress | undefined {
    const bound = this.#server?.address() as AddressInfo | null | undefined
    return bound ? { host: bound.address, port: bound.port } : undefined
  }

  /** Opens the port with the first route: a device without http triggers listens nowhere. */
  async add(path: string, route: HttpRoute): Promise<void> {
    if (!this.#routes.add(path, route)) {
      throw new ResourceError('http-path-taken', `Cannot serve path "${path}": another function does`, {
        hint: 'give one of them another attributes.paths',
      })
    }
    this.#opening ??= this.#open()
    try {
      await this.#opening
    } catch (error) {
      this.#opening = undefined
      this.#routes.remove(path, route)
      throw error
    }
  }

  remove(path: string, route: HttpRoute): void {
    this.#routes.remove(path, route)
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#opening = undefined
    this.#stopReloading()
    this.#stalls.stop()
    if (!server) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const timer = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
    await closed
    clearTimeout(timer)
  }

  async #open(): Promise<void> {
    const { listen, tls, limits } = this.#config
    const server = this.#create()
    server.maxConnections = limits.connectionsMax
    // One more than may be, so that too many are seen; Node leaves out what is beyond.
    server.maxHeadersCount = limits.headersMax + 1
    this.#connections.watch(server, tls !== null)
    this.#stalls.start(server, tls ? 'secureConnection' : 'connection', limits.stallTimeoutMs)
    server.on('request', (request, response) => this.#onRequest(request, response))
    // Node would say 100 at once; the body is asked for when somebody wants it.
    server.on('checkContinue', (request, response) => this.#onRequest(request, response))
    server.on('upgrade', (request, socket, firstBytes) => this.#onUpgrade(request, socket, firstBytes))
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(listen.port, listen.host, () => {
        server.off('error', reject)
        resolve()
      })
    }).catch((error: NodeJS.ErrnoException) => {
      throw new ResourceError(
        error.code === 'EADDRINUSE' ? 'port-taken' : 'listen-failed',
        `Cannot listen on ${listen.host}:${listen.port}: ${error.message}`,
        { cause: error, hint: `change ${this.#setting}, or stop what uses the port` },
      )
    })
    this.#server = server
    if (tls) this.#stopReloading = reloadOnChange(server as TlsServer, tls, `${this.#setting}.tls`, this.#logger)
  }

  #create(): Server {
    const { tls, limits } = this.#config
    const options: ServerOptions = {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      maxHeaderSize: limits.headerBytesMax,
      // A request without a body has no stream to read it from.
      optimizeEmptyRequests: true,
      // An offer of another protocol (h2c, say) is not taken up, and the request is answered as it is.
      shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
    }
    if (!tls) return createServer(options)
    return createTlsServer({
      ...options,
      ...readTlsFiles(tls, `${this.#setting}.tls`),
      requestCert: tls.caFile !== null,
      rejectUnauthorized: tls.caFile !== null,
      handshakeTimeout: limits.headersTimeoutMs,
      ALPNProtocols: ['http/1.1'],
    })
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === '*' && request.method === 'OPTIONS') {
      response.writeHead(204).end()
      return
    }
    if (countUnanswered(request.socket, response) >= UNANSWERED_MAX) {
      return end(response, 503, `${UNANSWERED_MAX} requests of this connection wait for their answers`, ['connection', 'close'])
    }
    const found = this.#find(request)
    if (isFault(found)) return end(response, found.status, found.text)
    found.route.onRequest(found.call, response)
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, firstBytes: Buffer): void {
    socket.on('error', () => {})
    const found = this.#find(request)
    if (!isFault(found) && found.route.onUpgrade) return found.route.onUpgrade(found.call, socket, firstBytes)
    refuseUpgrade(socket, isFault(found) ? found : { status: 426, text: 'This path takes no WebSocket connections' })
  }

  #find(request: IncomingMessage): { readonly route: HttpRoute; readonly call: HttpCall } | Fault {
    const headers = readHeaders(request, this.#config.limits.headersMax)
    if (isFault(headers)) return headers
    const host = headers.get('host')
    if (!this.#isHostAllowed(host)) {
      return { status: 403, text: `Requests for host ${JSON.stringify(host)} are not served here; see allowedHosts of ${this.#setting}` }
    }
    const target = readTarget(request.url ?? '/')
    if (isFault(target)) return target
    const match = this.#routes.find(target.rawPath)
    if (!match) return { status: 404, text: this.#nothingAt(request, headers) }
    const parameters = match.parameters && readParameters(match.parameters)
    if (parameters && isFault(parameters)) return parameters
    return { route: match.target, call: { request, target, headers, parameters } }
  }

  /** Which paths there are is told on the machine itself only, and not through a proxy. */
  #nothingAt(request: IncomingMessage, headers: RequestHeaders): string {
    const isNear = isLoopbackAddress(request.socket.remoteAddress) && !headers.get('x-forwarded-for') && !headers.get('forwarded')
    const paths = isNear ? this.#routes.paths() : []
    const told = paths.slice(0, PATHS_TOLD_MAX).join(', ') + (paths.length > PATHS_TOLD_MAX ? ', ...' : '')
    return `There is no function at this path${told === '' ? '' : `; there are: ${told}`}`
  }

  #refused(): void {
    const nowMs = performance.now()
    if (nowMs - this.#refusedLoggedMs < REFUSAL_LOG_MS) return
    this.#refusedLoggedMs = nowMs
    const { connectionsMax, connectionsPerAddressMax } = this.#config.limits
    this.#logger.warn(
      { setting: this.#setting, connectionsMax, connectionsPerAddressMax },
      'http connections are refused, there are too many',
    )
  }
}

export function refuseUpgrade(socket: Duplex, { status, text }: Fault, headers: readonly string[] = []): void {
  const body = `${text}\n`
  const lines = [
    `HTTP/1.1 ${status} Refused`,
    'connection: close',
    'content-type: text/plain; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    ...headers,
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

const LATEST = Symbol('latest answer')
const UNANSWERED = Symbol('unanswered before it')

/** The latest answer of a connection, and how many before it were not given when it was asked for. */
interface Counted {
  [LATEST]?: ServerResponse
  [UNANSWERED]?: number
}

/** Most clients ask for one thing after the other: then the answer before is given, and there is nothing to count. */
function countUnanswered(socket: Duplex & Counted, response: ServerResponse): number {
  const before = socket[LATEST]
  const soFar = socket[UNANSWERED] ?? 0
  const isAnswered = before === undefined || (before.writableEnded && soFar < UNANSWERED_MAX)
  const count = isAnswered ? 0 : soFar + 1
  socket[LATEST] = response
  socket[UNANSWERED] = count
  return count
}

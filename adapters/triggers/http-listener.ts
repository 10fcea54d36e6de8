import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ResourceError } from '../../runtime/base/errors.ts'

export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void

/** Slow clients are cut: headers, then the whole request, within these. */
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 60_000
const KEEP_ALIVE_MS = 5_000
/** Without a setting of its own. */
const CONNECTIONS_MAX = 1_000

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

/** One HTTP port of the device: paths of several functions beside each other, the longest that fits wins. */
export class HttpListener {
  readonly #wanted: ListenAddress
  readonly #setting: string
  readonly #connectionsMax: number
  readonly #routes = new Map<string, HttpHandler>()
  #server: Server | undefined
  #opening: Promise<void> | undefined

  /** `setting` names where the port is configured, for the error when it is taken. */
  constructor(wanted: ListenAddress, setting: string, connectionsMax = CONNECTIONS_MAX) {
    this.#wanted = wanted
    this.#connectionsMax = connectionsMax
    this.#setting = setting
  }

  /** The real address; undefined while nothing listens. */
  get address(): ListenAddress | undefined {
    const bound = this.#server?.address() as AddressInfo | null | undefined
    return bound ? { host: bound.address, port: bound.port } : undefined
  }

  /** Opens the port with the first route: a device without http triggers listens nowhere. */
  async add(path: string, handler: HttpHandler): Promise<void> {
    const route = normalize(path)
    if (this.#routes.has(route)) {
      throw new ResourceError('http-path-taken', `Cannot serve path "${path}": another function does`, {
        hint: 'give one of them another attributes.paths',
      })
    }
    this.#routes.set(route, handler)
    this.#opening ??= this.#open()
    try {
      await this.#opening
    } catch (error) {
      this.#opening = undefined
      this.#routes.delete(route)
      throw error
    }
  }

  remove(path: string, handler: HttpHandler): void {
    const route = normalize(path)
    if (this.#routes.get(route) === handler) this.#routes.delete(route)
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    this.#opening = undefined
    if (!server) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeIdleConnections()
    const timer = setTimeout(() => server.closeAllConnections(), 1_000)
    await closed
    clearTimeout(timer)
  }

  async #open(): Promise<void> {
    const server = createServer(
      { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: KEEP_ALIVE_MS },
      (request, response) => this.#route(request, response),
    )
    server.maxConnections = this.#connectionsMax
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#wanted.port, this.#wanted.host, () => {
        server.off('error', reject)
        resolve()
      })
    }).catch((error: NodeJS.ErrnoException) => {
      throw new ResourceError(
        error.code === 'EADDRINUSE' ? 'port-taken' : 'listen-failed',
        `Cannot listen on ${this.#wanted.host}:${this.#wanted.port}: ${error.message}`,
        {
          cause: error,
          hint: `change ${this.#setting}, or stop what uses the port`,
        },
      )
    })
    this.#server = server
  }

  #route(request: IncomingMessage, response: ServerResponse): void {
    const url = request.url ?? '/'
    const query = url.indexOf('?')
    let path = query === -1 ? url : url.slice(0, query)
    for (;;) {
      const handler = this.#routes.get(path)
      if (handler) return handler(request, response)
      if (path === '') break
      const slash = path.lastIndexOf('/')
      if (slash === -1) break
      path = path.slice(0, slash)
    }
    response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' })
    response.end('There is no function at this path\n')
  }
}

/** `/` and paths with a slash at the end stand for what is below them. */
function normalize(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}

/** Two Host headers, or none: a request that proxies and servers would understand differently. */
export function hasOneHost(request: IncomingMessage): boolean {
  let hosts = 0
  const { rawHeaders } = request
  for (let i = 0; i < rawHeaders.length; i += 2) if (rawHeaders[i]!.length === 4 && rawHeaders[i]!.toLowerCase() === 'host') hosts++
  return hosts === 1
}

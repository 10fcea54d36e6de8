/**
 * The device's own API: HTTP on a Unix socket in the data directory that only the agent's user can open (0600). It works without
 * a network and without a hub. docs/agent-api.md lists the routes.
 */
import { chmod, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { codeOf, describeError, DunlinError, InputError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { socketAddress } from './socket-path.ts'

export const LOCAL_BODY_BYTES_MAX = 64 * 1024 * 1024
const CONNECTIONS_MAX = 64

export interface LocalRequest {
  /** What `:name` in the route's path stood for. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

export interface LocalResponse {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON, unless it is a Buffer. */
  readonly body: unknown
}

export interface LocalRoute {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** `/v1/functions/:name/invoke` */
  readonly path: string
  handle(request: LocalRequest): Promise<LocalResponse>
}

export class LocalApi {
  readonly #routes: readonly LocalRoute[]
  readonly #path: string
  readonly #logger: Logger
  #server: Server | undefined

  constructor(path: string, routes: readonly LocalRoute[], logger: Logger) {
    this.#path = path
    this.#routes = routes
    this.#logger = logger
  }

  /** The data directory is ours alone (the store holds its lock): a socket file that lies there is from a process that is gone. */
  async open(): Promise<void> {
    await unlink(this.#path).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
    const server = createServer((request, response) => void this.#serve(request, response))
    server.maxConnections = CONNECTIONS_MAX
    const { address, release } = socketAddress(this.#path)
    const before = process.umask(0o177)
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(address, resolve)
      })
    } finally {
      process.umask(before)
      release()
    }
    await chmod(this.#path, 0o600)
    this.#server = server
  }

  async close(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    if (!server) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = new URL(request.url ?? '/', 'http://agent')
      const { route, params } = this.#find(request.method ?? 'GET', url.pathname)
      const body = await readAll(request)
      const answer = await route.handle({ params, query: url.searchParams, headers: request.headers, body })
      const isBytes = Buffer.isBuffer(answer.body)
      response.writeHead(answer.status ?? 200, { ...(isBytes ? {} : { 'content-type': 'application/json' }), ...answer.headers })
      response.end(isBytes ? answer.body : JSON.stringify(answer.body))
    } catch (error) {
      const status = error instanceof InputError ? (STATUS[error.code] ?? 400) : 500
      if (status === 500) this.#logger.error({ error: describeError(error), url: request.url }, 'a local request failed')
      response.writeHead(status, { 'content-type': 'application/json', ...(status === 413 ? { connection: 'close' } : {}) })
      response.end(
        JSON.stringify({
          error: { code: codeOf(error), message: (error as Error).message, hint: error instanceof DunlinError ? error.hint : undefined },
        }),
      )
    }
  }

  #find(method: string, path: string): { route: LocalRoute; params: Record<string, string> } {
    let pathExists = false
    for (const route of this.#routes) {
      const params = matchPath(route.path, path)
      if (!params) continue
      pathExists = true
      if (route.method === method) return { route, params }
    }
    if (pathExists) throw new InputError('method-not-allowed', `Cannot ${method} ${path}`)
    throw new InputError('route-unknown', `There is nothing at ${path}`)
  }
}

const STATUS: Readonly<Record<string, number>> = {
  'route-unknown': 404,
  'not-found': 404,
  'method-not-allowed': 405,
  'body-too-large': 413,
  'routes-of-hub': 409,
  'source-served': 409,
}

function matchPath(pattern: string, path: string): Record<string, string> | undefined {
  const wanted = pattern.split('/')
  const given = path.split('/')
  if (wanted.length !== given.length) return undefined
  const params: Record<string, string> = Object.create(null)
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i]!.startsWith(':')) params[wanted[i]!.slice(1)] = decodeURIComponent(given[i]!)
    else if (wanted[i] !== given[i]) return undefined
  }
  return params
}

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > LOCAL_BODY_BYTES_MAX)
      throw new InputError('body-too-large', `Cannot take a body of more than ${LOCAL_BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/**
 * HTTPS to the hub: one place for certificates, time limits, size limits and errors. It never waits for ever: a connection that
 * says nothing for `idleTimeoutMs` is cut. No retries here; whoever asks knows whether and when to ask again.
 */
import type { IncomingMessage } from 'node:http'
import https from 'node:https'
import { WIRE_JSON_BYTES_MAX } from '../../config/wire.ts'
import { codeOf, DunlinError, type ErrorOptions, ProtocolError, ResourceError, TrustError } from '../../runtime/base/errors.ts'

export interface HubHttpsOptions {
  /** https://host:port */
  readonly url: string
  /** PEM; the only CA that is trusted. */
  readonly ca: string
  /** The device's certificate and key (PEM); absent only while enrolling. */
  readonly certificate?: string
  readonly key?: string
  readonly idleTimeoutMs?: number
}

export interface HubRequest {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Record<string, string>
  readonly json?: unknown
  readonly signal?: AbortSignal
}

const IDLE_TIMEOUT_MS = 30_000
const CONNECTIONS_MAX = 2
const RETRY_AFTER_MAX_MS = 3_600_000

/** The hub answered, and it was not what was asked for: its own code, message and hint, with the HTTP status. */
export class HubError extends DunlinError {
  readonly status: number
  readonly retryAfterMs: number | undefined

  constructor(status: number, code: string, message: string, options: ErrorOptions & { retryAfterMs?: number | undefined } = {}) {
    super(code, message, options)
    this.status = status
    this.retryAfterMs = options.retryAfterMs
  }
}

export class HubHttps {
  readonly #options: HubHttpsOptions
  readonly #agent: https.Agent

  constructor(options: HubHttpsOptions) {
    this.#options = options
    const { ca, certificate: cert, key } = options
    this.#agent = new https.Agent({ ca, cert, key, keepAlive: true, maxSockets: CONNECTIONS_MAX, minVersion: 'TLSv1.2' })
  }

  /**
   * Resolves at the head of a 2xx answer; the caller reads the body, or destroys it.
   * Throws HubError (an answer that is no 2xx), ResourceError 'hub-unreachable', TrustError 'hub-not-trusted'.
   */
  async open(path: string, request: HubRequest = {}): Promise<IncomingMessage> {
    const response = await this.#send(path, request)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    throw await answerError(path, status, response)
  }

  /** The whole body, at most `bytesMax`; a longer one is cut off ('hub-answer-too-long'). */
  async bytes(path: string, bytesMax: number, request: HubRequest = {}): Promise<Buffer> {
    return readAtMost(await this.open(path, request), bytesMax)
  }

  async json(path: string, request: HubRequest = {}): Promise<unknown> {
    const text = (await this.bytes(path, WIRE_JSON_BYTES_MAX, request)).toString('utf8')
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      throw new ProtocolError('hub-answer-invalid', `Cannot read the hub's answer to ${path}: it is no JSON`, { cause: error })
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  #send(path: string, { method = 'GET', headers, json, signal }: HubRequest): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
    const body = json === undefined ? undefined : Buffer.from(JSON.stringify(json))
    const sent: Record<string, string | number> = { ...headers }
    if (body) Object.assign(sent, { 'content-type': 'application/json', 'content-length': body.length })
    const request = https.request(new URL(path, this.#options.url), { method, headers: sent, agent: this.#agent, signal })
    const idleMs = this.#options.idleTimeoutMs ?? IDLE_TIMEOUT_MS
    request.setTimeout(idleMs, () => request.destroy(new ResourceError('hub-silent', `Nothing came for ${idleMs} ms`)))
    request.once('response', resolve)
    request.on('error', (error) => reject(signal?.aborted ? signal.reason : connectionError(this.#options.url, error)))
    request.end(body)
    return promise
  }
}

/** Bytes of a body, at most `bytesMax`; destroys the connection of a longer one (endless data). */
export async function readAtMost(body: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > bytesMax) throw new ProtocolError('hub-answer-too-long', `Cannot take the hub's answer: more than ${bytesMax} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    body.destroy()
    throw error instanceof DunlinError
      ? error
      : new ResourceError('hub-unreachable', `Lost the hub in the middle of an answer`, { cause: error, retryable: true })
  }
  return Buffer.concat(chunks)
}

const TRUST_CODES = /CERT|ALTNAME|SIGNATURE|ISSUER|SELF_SIGNED/

/** Node's error of a connection as ours. A stranger answering in the hub's place (a captive portal) goes away by itself: retryable. */
export function connectionError(url: string, cause: Error): DunlinError {
  if (TRUST_CODES.test(codeOf(cause))) {
    return new TrustError('hub-not-trusted', `Cannot trust the hub at ${url}: ${cause.message}`, {
      cause,
      retryable: true,
      hint: "check the address, the hub's `names`, and that nothing between answers in its place",
    })
  }
  return new ResourceError('hub-unreachable', `Cannot reach the hub at ${url}: ${cause.message || codeOf(cause)}`, {
    cause,
    retryable: true,
    hint: 'check that the hub runs and that the address and port are right',
  })
}

async function answerError(path: string, status: number, response: IncomingMessage): Promise<HubError> {
  const retryable = status >= 500 || status === 429 || status === 408
  const retryAfterMs = retryAfter(response.headers['retry-after'])
  const told = toldBy(await readAtMost(response, 64 * 1024).catch(() => Buffer.alloc(0)))
  const message = told.message ?? `The hub answered ${status} to ${path}`
  return new HubError(status, told.code ?? `hub-status-${status}`, message, { retryable, retryAfterMs, hint: told.hint })
}

function toldBy(body: Buffer): { code?: string; message?: string; hint?: string } {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as { error?: Record<string, unknown> }
    const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, 1000) : undefined)
    return { code: text(error?.code), message: text(error?.message), hint: text(error?.hint) }
  } catch {
    return {}
  }
}

function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined) return undefined
  const seconds = /^\d+$/.test(header) ? Number(header) : (Date.parse(header) - Date.now()) / 1000
  return Number.isFinite(seconds) ? Math.min(RETRY_AFTER_MAX_MS, Math.max(0, seconds * 1000)) : undefined
}

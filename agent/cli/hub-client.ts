/** The hub's operator API for one command: the home's CA is the only one trusted, the admin token says who asks. */
import { readFileSync } from 'node:fs'
import https from 'node:https'
import { InputError, ResourceError, TrustError, codeOf } from '../../runtime/base/errors.ts'
import { readPrivateFile } from '../../runtime/base/durable-file.ts'
import { nothingRunning, type Home } from './home.ts'
import { checkStatus, jsonOf, sendRequest, type Answer } from './http-request.ts'

const NOT_THERE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'answer-late',
])

export class HubClient {
  readonly url: string
  readonly #home: Home
  readonly #agent: https.Agent
  readonly #token: string

  constructor(home: Home) {
    const { hub } = home.context
    if (!hub)
      throw new InputError('config-invalid', `No hub is named in the context of ${home.path}`, {
        hint: 'this command asks the hub; "dunlin up" starts one',
      })
    this.url = hub.url
    this.#home = home
    const token = readPrivateFile(hub.adminTokenFile)
    const ca = readIfThere(hub.caFile)
    // Both are there before the hub says that it is ready.
    if (token === undefined || ca === undefined) throw nothingRunning(home.path)
    this.#token = token.trim()
    this.#agent = new https.Agent({ ca, keepAlive: true, maxSockets: 4, minVersion: 'TLSv1.2' })
  }

  async get(path: string, signal?: AbortSignal): Promise<unknown> {
    return jsonOf(await this.#send('GET', path, undefined, undefined, signal))
  }

  /** The exact text. */
  async text(path: string): Promise<string> {
    return (await this.#send('GET', path)).body.toString('utf8')
  }

  /** Whether something is there (HEAD). */
  async has(path: string): Promise<boolean> {
    try {
      await this.#send('HEAD', path)
      return true
    } catch (error) {
      if (codeOf(error) === 'status-404') return false
      throw error
    }
  }

  async post(path: string, body: unknown): Promise<unknown> {
    return jsonOf(await this.#send('POST', path, Buffer.from(JSON.stringify(body)), 'application/json'))
  }

  async put(path: string, bytes: Uint8Array): Promise<void> {
    await this.#send('PUT', path, bytes, 'application/octet-stream')
  }

  async delete(path: string): Promise<unknown> {
    return jsonOf(await this.#send('DELETE', path))
  }

  close(): void {
    this.#agent.destroy()
  }

  async #send(method: string, path: string, body?: Uint8Array, contentType?: string, signal?: AbortSignal): Promise<Answer> {
    const { hostname, port } = new URL(this.url)
    const headers = { authorization: `Bearer ${this.#token}`, ...(contentType && { 'content-type': contentType }) }
    const options = { method, host: hostname.replace(/^\[|\]$/g, ''), port: port || 443, path, headers, agent: this.#agent }
    try {
      return checkStatus(await sendRequest(https.request, options, body, signal), 'hub')
    } catch (error) {
      throw this.#explained(error)
    }
  }

  #explained(error: unknown): unknown {
    const code = codeOf(error)
    if (code === 'ECONNREFUSED' && this.#home.context.agent) return nothingRunning(this.#home.path, error)
    if (NOT_THERE.has(code))
      return new ResourceError('hub-unreachable', `Cannot reach the hub at ${this.url}`, { cause: error, retryable: true })
    if (/CERT|ALTNAME|SELF_SIGNED|SIGNATURE|ISSUER/.test(code)) {
      return new TrustError('hub-not-trusted', `Cannot trust what answers at ${this.url}`, {
        cause: error,
        hint: 'another program, or another hub, has this port',
      })
    }
    return error
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

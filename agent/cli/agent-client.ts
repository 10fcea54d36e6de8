/** The local agent's API, over its Unix socket. */
import http from 'node:http'
import { codeOf, InputError } from '../../runtime/base/errors.ts'
import { socketAddress } from '../local-api/socket-path.ts'
import { nothingRunning, type Home } from './home.ts'
import { checkStatus, jsonOf, sendRequest, type Answer } from './http-request.ts'

export class AgentClient {
  readonly #home: Home
  readonly #socket: string

  constructor(home: Home) {
    if (!home.context.agent) {
      throw new InputError('config-invalid', `No agent is named in the context of ${home.path}`, {
        hint: 'run this on the device, with --home, or ask the hub with --device',
      })
    }
    this.#home = home
    this.#socket = home.context.agent.socket
  }

  async get(path: string, signal?: AbortSignal): Promise<unknown> {
    return jsonOf(checkStatus(await this.send('GET', path, {}, undefined, signal), 'agent'))
  }

  async post(path: string, value?: unknown): Promise<unknown> {
    const body = value === undefined ? undefined : Buffer.from(JSON.stringify(value))
    return jsonOf(checkStatus(await this.send('POST', path, {}, body), 'agent'))
  }

  async put(path: string, value: unknown): Promise<unknown> {
    const body = Buffer.from(JSON.stringify(value))
    return jsonOf(checkStatus(await this.send('PUT', path, { 'content-type': 'application/json' }, body), 'agent'))
  }

  async delete(path: string): Promise<unknown> {
    return jsonOf(checkStatus(await this.send('DELETE', path, {}), 'agent'))
  }

  /** Whatever the answer's status is: a function's own. */
  async send(method: string, path: string, headers: Record<string, string>, body?: Uint8Array, signal?: AbortSignal): Promise<Answer> {
    try {
      const { address, release } = socketAddress(this.#socket)
      try {
        return await sendRequest(http.request, { method, path, headers, socketPath: address, agent: false }, body, signal)
      } finally {
        release()
      }
    } catch (error) {
      throw ['ENOENT', 'ECONNREFUSED'].includes(codeOf(error)) ? nothingRunning(this.#home.path) : error
    }
  }
}

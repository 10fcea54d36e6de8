import type { ServerResponse } from 'node:http'
import type { HttpTriggerConfig } from '../../config/function-config.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import type { Trigger, TriggerContext, TriggerSink } from '../../runtime/functions/trigger.ts'
import { end } from './http-answer.ts'
import { readBody } from './http-body.ts'
import { decideCors } from './http-cors.ts'
import { HttpDelivery } from './http-deliver.ts'
import { HttpListener, type HttpCall, type HttpRoute, type ListenAddress } from './http-listener.ts'
import type { WebSocketConnections } from './http-websocket.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/**
 * Requests become events. Delivery `direct`: the handler's answer is the response, after the commit of what it emitted.
 * `durable`: 202 with the event's id when the event is committed.
 */
export class HttpTrigger implements Trigger {
  readonly #config: HttpTriggerConfig
  readonly #delivery: HttpDelivery
  readonly #listener: HttpListener
  readonly #isOwn: boolean
  readonly #allow: string | undefined
  readonly #sink: TriggerSink
  readonly #routes = new Map<string, HttpRoute>()
  #sockets: WebSocketConnections | undefined

  constructor(config: HttpTriggerConfig, context: TriggerContext, shared: HttpListener) {
    this.#config = config
    this.#sink = context.sink
    this.#isOwn = config.server !== null
    this.#listener = config.server
      ? new HttpListener(config.server, `spec.triggers.${config.name}.attributes of ${context.functionName}`, context.logger)
      : shared
    this.#delivery = new HttpDelivery(config, context, this.#listener.limits.stallTimeoutMs)
    this.#allow = config.methods ? allowed(config.methods).join(', ') : undefined
  }

  get address(): ListenAddress | undefined {
    return this.#listener.address
  }

  async start(): Promise<void> {
    const { websocket, paths, delivery } = this.#config
    if (websocket) {
      const { WebSocketConnections } = await import('./http-websocket.ts')
      const { stallTimeoutMs } = this.#listener.limits
      this.#sockets = new WebSocketConnections(websocket, this.#sink, delivery === 'durable', stallTimeoutMs)
    }
    for (const path of new Set([...paths, ...(websocket?.paths ?? [])])) {
      const route = this.#routeOf(path)
      await this.#listener.add(path, route)
      this.#routes.set(path, route)
    }
  }

  async stop(): Promise<void> {
    for (const [path, route] of this.#routes) this.#listener.remove(path, route)
    this.#routes.clear()
    await this.#sockets?.close()
    if (this.#isOwn) await this.#listener.close()
  }

  /** A path may take requests, connections, or both. */
  #routeOf(path: string): HttpRoute {
    const { websocket, paths } = this.#config
    const isOfSockets = websocket !== null && (websocket.paths?.includes(path) ?? true)
    return {
      onRequest: paths.includes(path)
        ? (call, response) => this.#onRequest(call, response)
        : (_call, response) =>
            end(response, 426, 'This path takes WebSocket connections', ['upgrade', 'websocket', 'connection', 'Upgrade']),
      ...(isOfSockets ? { onUpgrade: (call, socket, firstBytes) => this.#sockets!.accept(call, socket, firstBytes) } : {}),
    }
  }

  #onRequest(call: HttpCall, response: ServerResponse): void {
    const { cors, maxRequestBodyBytes } = this.#config
    const method = call.request.method ?? 'GET'
    let extra: readonly string[] = NOTHING
    if (cors) {
      const decision = decideCors(cors, {
        method,
        origin: call.headers.get('origin'),
        wantedMethod: call.headers.get('access-control-request-method'),
        wantedHeaders: call.headers.get('access-control-request-headers'),
        wantsPrivateNetwork: call.headers.get('access-control-request-private-network') === 'true',
      })
      extra = decision.headers
      if (decision.preflightStatus !== null) return void response.writeHead(decision.preflightStatus, [...extra]).end()
    }
    if (this.#allow !== undefined && !this.#takes(method)) {
      if (method === 'OPTIONS') return void response.writeHead(204, ['allow', this.#allow, ...extra]).end()
      return end(response, 405, `Method ${method} is not one of ${this.#allow}`, ['allow', this.#allow, ...extra])
    }
    const { stallTimeoutMs, bodyBytesPerSecondMin } = this.#listener.limits
    readBody(
      call.request,
      response,
      { bytesMax: maxRequestBodyBytes, bytesPerSecondMin: bodyBytesPerSecondMin, stallTimeoutMs },
      (body) => {
        if (body instanceof ResourceError) return refuseBody(response, body, extra)
        this.#delivery.deliver({ call, response, body, extra })
      },
    )
  }

  #takes(method: string): boolean {
    const { methods } = this.#config
    return methods!.includes(method) || (method === 'HEAD' && methods!.includes('GET'))
  }
}

export function openHttpTrigger(config: TriggerOf<'http'>, context: TriggerContext, services: TriggerServices): HttpTrigger {
  return new HttpTrigger(config, context, services.http)
}

/** The client may go on sending for a while: it gets its answer, and the connection ends behind it. */
function refuseBody(response: ServerResponse, error: ResourceError, extra: readonly string[]): void {
  if (error.code === 'body-too-large') return end(response, 413, error.message, extra)
  end(response, 408, error.message, ['connection', 'close', ...extra])
}

/** HEAD comes with GET, and OPTIONS is always answered. */
function allowed(methods: readonly string[]): string[] {
  return [...new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])]
}

const NOTHING: readonly string[] = []

import type { ServerResponse } from 'node:http'
import type { HttpTriggerConfig } from '../../config/function-config.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import { end } from './http-answer.ts'
import { readBody } from './http-body.ts'
import { decideCors } from './http-cors.ts'
import { HttpDelivery } from './http-deliver.ts'
import { HttpListener, type HttpCall, type HttpRoute, type ListenAddress } from './http-listener.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/**
 * Requests become events. Delivery `direct`: the handler's answer is the response, after the commit of what it emitted.
 * `durable`: 202 with the event's id when the event is committed.
 */
export class HttpTrigger implements Trigger, HttpRoute {
  readonly #config: HttpTriggerConfig
  readonly #delivery: HttpDelivery
  readonly #listener: HttpListener
  readonly #isOwn: boolean
  readonly #allow: string | undefined

  constructor(config: HttpTriggerConfig, context: TriggerContext, shared: HttpListener) {
    this.#config = config
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
    for (const path of this.#config.paths) await this.#listener.add(path, this)
  }

  async stop(): Promise<void> {
    for (const path of this.#config.paths) this.#listener.remove(path, this)
    if (this.#isOwn) await this.#listener.close()
  }

  onRequest(call: HttpCall, response: ServerResponse): void {
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

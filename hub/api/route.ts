/** What a route of the hub's API is. The table in routes.ts is all there is; docs/hub-api.md and a test walk it. */
import type Koa from 'koa'
import type * as v from 'valibot'
import type { Device } from '../registry/devices.ts'

/** Who may call: the operator's token; an accepted device's certificate; a claim token in the body; anybody. */
export type Auth = 'operator' | 'device' | 'enrol' | 'none'

export interface Call<Body = unknown> {
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  readonly body: Body
  /** Of 'device' routes. */
  readonly device: Device | undefined
  readonly address: string
  /** For routes that stream. */
  readonly http: Koa.Context
}

export interface Route {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** `/v1/devices/:id`; a segment with a colon is a parameter. */
  readonly path: string
  readonly auth: Auth
  readonly summary: string
  /** JSON body; routes without one take none, but for those that stream it themselves. */
  readonly body?: v.GenericSchema
  readonly bodyBytesMax?: number
  /** The body it is given is what `body` makes of it. Returns what is answered as JSON; undefined when it has answered through `http`. */
  readonly handler: (call: Call<never>) => unknown
}

/** A typed route: the handler's body is what the schema makes of it. */
export function route<S extends v.GenericSchema>(
  given: Omit<Route, 'handler' | 'body'> & { body: S; handler: (call: Call<v.InferOutput<S>>) => unknown },
): Route {
  return given
}

/** kind: http. Requests to the agent's listener, or to a port of its own. */
import * as v from 'valibot'
import { integer, port, size, text } from '../fields.ts'
import { NO_CLUSTER, NO_CONTAINER, DEAD, NOT_YET } from '../nuclio-fields.ts'
import { anything } from '../without-effect.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'

const MiB = 1024 * 1024

export interface HttpTriggerConfig extends TriggerBase {
  readonly kind: 'http'
  /** A port of its own; null: the agent's shared listener. */
  readonly port: number | null
  /** A path stands for itself and for everything below it. Default: `/<function>` on the shared listener, `/` on a port of its own. */
  readonly paths: readonly string[]
  readonly maxRequestBodyBytes: number
  readonly cors: CorsConfig | null
}

export interface CorsConfig {
  readonly allowOrigins: readonly string[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly allowCredentials: boolean
  readonly preflightMaxAgeSeconds: number
}

const WITHOUT_EFFECT = {
  ingresses: NO_CLUSTER,
  serviceType: NO_CLUSTER,
  disablePortPublishing: NO_CONTAINER,
  mode: DEAD,
  readBufferSize: NOT_YET,
  reduceMemoryUsage: NOT_YET,
}

const names = v.optional(v.array(text(256)))
const httpPath = v.pipe(v.string(), v.regex(/^\/[^\s?#]*$/, 'a path that begins with "/"'), v.maxLength(1024, 'at most 1024 characters'))

const schema = v.strictObject({
  ...common,
  kind: v.literal('http'),
  attributes: v.optional(
    v.strictObject({
      port: v.optional(port),
      paths: v.optional(v.pipe(v.array(httpPath), v.minLength(1, 'at least one path'), v.maxLength(100, 'at most 100 paths'))),
      /** 4 MiB, Nuclio's: a body is held in memory whole. A number counts bytes. */
      maxRequestBodySize: v.optional(v.union([integer({ min: 1, max: 64 * MiB }), size({ min: 1, max: 64 * MiB })]), '4MiB'),
      cors: v.optional(
        v.strictObject({
          enabled: v.optional(v.boolean(), false),
          allowOrigins: names,
          allowOrigin: v.optional(text(256)),
          allowMethods: names,
          allowHeaders: names,
          allowCredentials: v.optional(v.boolean(), false),
          /** 5 s: browsers' own default. */
          preflightMaxAgeSeconds: v.optional(integer({ min: 0, max: 86_400 }), 5),
        }),
      ),
      ...anything(WITHOUT_EFFECT),
    }),
    {},
  ),
})

type Attributes = v.InferOutput<typeof schema>['attributes']

export const http = triggerKind({
  schema,
  defaults: { delivery: 'direct', orderKey: 'none' },
  attributesWithoutEffect: WITHOUT_EFFECT,
  compile({ url, attributes }, base, { checker, notices, path, functionName }): HttpTriggerConfig {
    if (url) notices.add([...path, 'url'], 'has no effect here: the agent decides where it listens, see attributes.port')
    const port = attributes.port ?? null
    const cors = attributes.cors?.enabled ? compileCors(attributes.cors) : null
    if (cors?.allowCredentials && cors.allowOrigins.includes('*')) {
      checker.add([...path, 'attributes', 'cors'], 'expected named origins, because credentials are allowed, got all', 'write allowOrigins')
    }
    return {
      ...base,
      kind: 'http',
      port,
      paths: attributes.paths ?? [port === null ? `/${functionName}` : '/'],
      maxRequestBodyBytes: attributes.maxRequestBodySize,
      cors,
    }
  },
})

/** With Nuclio's defaults. */
function compileCors(cors: NonNullable<Attributes['cors']>): CorsConfig {
  return {
    allowOrigins: cors.allowOrigins ?? [cors.allowOrigin ?? '*'],
    allowMethods: cors.allowMethods ?? ['HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    allowHeaders: cors.allowHeaders ?? ['Accept', 'Content-Length', 'Content-Type', 'X-nuclio-log-level'],
    allowCredentials: cors.allowCredentials,
    preflightMaxAgeSeconds: cors.preflightMaxAgeSeconds,
  }
}

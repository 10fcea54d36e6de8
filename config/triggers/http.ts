/** kind: http. Requests to the agent's listener, or to a port of its own. */
import * as v from 'valibot'
import { integer, port, size, text } from '../fields.ts'
import { allowedHosts, compileHttpLimits, httpLimits, limitsFault, tlsFiles, type HttpServerConfig } from '../http-server.ts'
import { NO_CLUSTER, NO_CONTAINER, DEAD } from '../nuclio-fields.ts'
import { anything } from '../without-effect.ts'
import { common, triggerKind, type TriggerBase, type TriggerCompile } from './common.ts'
import { compileCors, cors, type CorsConfig } from './http-cors.ts'
import { compileWebSocket, websocket, type WebSocketConfig } from './http-websocket.ts'

export type { CorsConfig } from './http-cors.ts'

const KiB = 1024
const MiB = 1024 * KiB

export interface HttpTriggerConfig extends TriggerBase {
  readonly kind: 'http'
  /** A port of its own; null: the agent's shared listener. */
  readonly server: HttpServerConfig | null
  /** A path stands for itself and for everything below it. Default: `/<function>` on the shared listener, `/` on a port of its own. */
  readonly paths: readonly string[]
  /** null: any. */
  readonly methods: readonly string[] | null
  readonly maxRequestBodyBytes: number
  readonly cors: CorsConfig | null
  readonly websocket: WebSocketConfig | null
  /** CloudEvents 1.0 are taken apart; false: they come as they are. */
  readonly cloudEvents: boolean
  /** Who may ask for the logs of a call with x-nuclio-log-level. */
  readonly returnLogs: 'loopback' | 'always' | 'never'
  /** What a handler may send by X-nuclio-filestream-path; null: nothing. */
  readonly fileStreamFolder: string | null
}

const WITHOUT_EFFECT = {
  ingresses: NO_CLUSTER,
  serviceType: NO_CLUSTER,
  disablePortPublishing: NO_CONTAINER,
  mode: DEAD,
  reduceMemoryUsage: 'a body is kept no longer than its event',
}

const SEGMENT_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/
/** Nuclio's ":8080", or with the address to listen at. */
const LISTEN = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]/]*):(\d{1,5})$/
const LOOPBACK = '127.0.0.1'

const httpPath = v.pipe(
  v.string(),
  v.regex(/^\/[^\s?#]*$/, 'a path that begins with "/"'),
  v.maxLength(1024, 'at most 1024 characters'),
  v.check(hasGoodParameters, 'parameters such as "/devices/:id": letters, digits and "_", each name once'),
)
const method = v.pipe(v.string(), v.toUpperCase(), v.regex(/^[A-Z][A-Z-]{0,31}$/, 'a method such as GET'))

const schema = v.strictObject({
  ...common,
  kind: v.literal('http'),
  attributes: v.optional(
    v.strictObject({
      port: v.optional(port),
      paths: v.optional(v.pipe(v.array(httpPath), v.minLength(1, 'at least one path'), v.maxLength(100, 'at most 100 paths'))),
      methods: v.optional(v.pipe(v.array(method), v.minLength(1, 'at least one method'), v.maxLength(32, 'at most 32 methods'))),
      /** 4 MiB, Nuclio's: a body is held in memory whole. A number counts bytes. */
      maxRequestBodySize: v.optional(v.union([integer({ min: 1, max: 64 * MiB }), size({ min: 1, max: 64 * MiB })]), '4MiB'),
      cors: v.optional(cors),
      websocket: v.optional(websocket(httpPath)),
      cloudEvents: v.optional(v.boolean(), true),
      /** Log lines may hold what the caller should not see: only the machine itself gets them. */
      returnLogs: v.optional(v.picklist(['loopback', 'always', 'never']), 'loopback'),
      fileStreamFolder: v.optional(v.pipe(text(1024), v.startsWith('/', 'a folder of the device that begins with "/"'))),
      tls: v.optional(tlsFiles),
      allowedHosts: v.optional(allowedHosts),
      limits: v.optional(v.strictObject(httpLimits)),
      /** Nuclio's name for limits.maxHeaderSize, in bytes. */
      readBufferSize: v.optional(integer({ min: 1 * KiB, max: MiB })),
      ...anything(WITHOUT_EFFECT),
    }),
    {},
  ),
})

type Given = v.InferOutput<typeof schema>

export const http = triggerKind({
  schema,
  defaults: { delivery: 'direct', orderKey: 'none' },
  attributesWithoutEffect: WITHOUT_EFFECT,
  compile(given, base, context): HttpTriggerConfig {
    const { attributes } = given
    const server = compileServer(given, context)
    return {
      ...base,
      kind: 'http',
      server,
      paths: attributes.paths ?? [server === null ? `/${context.functionName}` : '/'],
      methods: attributes.methods ?? null,
      maxRequestBodyBytes: attributes.maxRequestBodySize,
      cors: attributes.cors ? compileCors(attributes.cors, context) : null,
      websocket: compileWebSocket(attributes.websocket),
      cloudEvents: attributes.cloudEvents,
      returnLogs: attributes.returnLogs,
      fileStreamFolder: attributes.fileStreamFolder ?? null,
    }
  },
})

/** null: the agent's. */
function compileServer({ url, attributes }: Given, context: TriggerCompile): HttpServerConfig | null {
  const { checker, notices, path } = context
  const at = (field: string) => [...path, 'attributes', field]
  const listen = listenOf(url, attributes.port, context)
  if (listen === null) {
    for (const field of ['tls', 'allowedHosts', 'limits'] as const) {
      if (attributes[field] !== undefined) {
        checker.add(at(field), 'expected a port of its own for it, got none', `write attributes.port, or set http.${field} in agent.yaml`)
      }
    }
    if (attributes.readBufferSize !== undefined)
      notices.add(at('readBufferSize'), 'has no effect here: see http.maxHeaderSize in agent.yaml')
    return null
  }
  const { tls, readBufferSize } = attributes
  for (const [field, file] of Object.entries(tls ?? {})) {
    if (!file.startsWith('/')) checker.add([...at('tls'), field], 'expected a file of the device that begins with "/", got a relative one')
  }
  const limits = compileHttpLimits(attributes.limits ?? v.parse(v.strictObject(httpLimits), {}))
  const fault = limitsFault(limits)
  if (fault) checker.add([...at('limits'), 'headersTimeout'], fault)
  return {
    listen,
    tls: tls ? { certFile: tls.certFile, keyFile: tls.keyFile, caFile: tls.caFile ?? null } : null,
    allowedHosts: attributes.allowedHosts ?? null,
    limits: readBufferSize === undefined || attributes.limits ? limits : { ...limits, headerBytesMax: readBufferSize },
  }
}

/** Loopback, unless an address is written down: ":8080" is every address of a container in Nuclio, and a device has no container around it. */
function listenOf(
  url: string | undefined,
  port: number | undefined,
  { checker, notices, path }: TriggerCompile,
): HttpServerConfig['listen'] | null {
  if (url === undefined || url === '') return port === undefined ? null : { host: LOOPBACK, port }
  const [, host, portText] = LISTEN.exec(url) ?? []
  if (host === undefined || Number(portText) > 65_535) {
    checker.add([...path, 'url'], `expected host:port, such as "127.0.0.1:8080", got ${JSON.stringify(url)}`)
    return null
  }
  if (host === '') notices.add([...path, 'url'], `listens on ${LOOPBACK} only: write "0.0.0.0:${portText}" for every address of the device`)
  return { host: host.replace(/^\[|\]$/g, '') || LOOPBACK, port: port ?? Number(portText) }
}

function hasGoodParameters(path: string): boolean {
  const names = path.split('/').filter((segment) => segment.startsWith(':'))
  return names.every((segment) => SEGMENT_NAME.test(segment.slice(1))) && new Set(names).size === names.length
}

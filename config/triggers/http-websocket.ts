/** attributes.websocket of an http trigger: true, the paths that take connections, or all of it. */
import * as v from 'valibot'
import { duration, integer, size, text } from '../fields.ts'

const KiB = 1024
const MiB = 1024 * KiB
const HOUR_MS = 3_600_000

export interface WebSocketConfig {
  /** null: all paths of the trigger. */
  readonly paths: readonly string[] | null
  /** Pages that may connect, beside those of this server itself. `*`: all. */
  readonly allowedOrigins: readonly string[]
  readonly messageBytesMax: number
  readonly connectionsMax: number
  readonly pingIntervalMs: number
}

const settings = <const P extends v.GenericSchema<string, string>>(path: P) =>
  v.strictObject({
    paths: v.optional(v.pipe(v.array(path), v.minLength(1, 'at least one path'), v.maxLength(100, 'at most 100 paths'))),
    allowedOrigins: v.optional(v.pipe(v.array(text(256)), v.maxLength(100, 'at most 100 origins')), []),
    /** 1 MiB: a message is held in memory whole. */
    maxMessageSize: v.optional(size({ min: 1, max: 64 * MiB }), '1MiB'),
    /** 100: each is kept open for as long as its client likes. */
    maxConnections: v.optional(integer({ min: 1, max: 100_000 }), 100),
    /** 30 s, below the minute after which most routers forget a connection. Who does not answer until the next one is gone. */
    pingInterval: v.optional(duration({ min: 100, max: HOUR_MS }), '30s'),
  })

export const websocket = <const P extends v.GenericSchema<string, string>>(path: P) =>
  v.union(
    [v.boolean(), v.array(path), settings(path)],
    'true, a list of paths, or paths, allowedOrigins, maxMessageSize, maxConnections and pingInterval',
  )

export function compileWebSocket(given: v.InferOutput<ReturnType<typeof websocket>> | undefined): WebSocketConfig | null {
  if (given === undefined || given === false) return null
  const written = given === true ? {} : Array.isArray(given) ? { paths: given } : given
  const whole = { ...v.parse(settings(v.string()), {}), ...written }
  return {
    paths: whole.paths ?? null,
    allowedOrigins: whole.allowedOrigins,
    messageBytesMax: whole.maxMessageSize,
    connectionsMax: whole.maxConnections,
    pingIntervalMs: whole.pingInterval,
  }
}

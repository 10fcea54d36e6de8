/** What an HTTP port may be told: `http` in agent.yaml for the one that functions share, `attributes` for a trigger's own. */
import * as v from 'valibot'
import { duration, integer, size, text } from './fields.ts'
import type { Listen } from './listen.ts'

const KiB = 1024
const HOUR_MS = 3_600_000

export interface HttpServerConfig {
  readonly listen: Listen
  readonly tls: HttpTlsConfig | null
  /** Host names that a request may name; null: loopback names on a loopback address, any elsewhere. */
  readonly allowedHosts: readonly string[] | null
  readonly limits: HttpLimits
}

export interface HttpTlsConfig {
  readonly certFile: string
  readonly keyFile: string
  /** Clients must show a certificate of this authority. */
  readonly caFile: string | null
}

export interface HttpLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly headerBytesMax: number
  readonly headersMax: number
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /** Neither a request's body nor an answer may stand still for so long. */
  readonly stallTimeoutMs: number
  readonly bodyBytesPerSecondMin: number
}

const count = (max: number) => integer({ min: 1, max })
const limit = (max: number) => duration({ min: 100, max })

export const httpLimits = {
  /** 1,000: a browser or client opens a few, a flood stops here. */
  maxConnections: v.optional(count(100_000), 1_000),
  /** 250: from one address no more than a quarter. Behind a proxy on this machine all come from one address. */
  maxConnectionsPerAddress: v.optional(count(100_000), 250),
  /** 16 KiB: Node's and nginx's order of size. Request line and headers together. */
  maxHeaderSize: v.optional(size({ min: 1 * KiB, max: 1024 * KiB }), '16KiB'),
  /** 100: browsers send about 20. */
  maxHeaders: v.optional(count(1_000), 100),
  /** 10 s from the first byte to the end of the headers. */
  headersTimeout: v.optional(limit(HOUR_MS), '10s'),
  /** 60 s from the first byte to the end of the body. */
  requestTimeout: v.optional(limit(HOUR_MS), '60s'),
  /** 5 s: how long an idle connection is kept. */
  keepAliveTimeout: v.optional(limit(HOUR_MS), '5s'),
  /** 10 s: an answer that the client does not take, 16 KiB in so long, is cut off. */
  stallTimeout: v.optional(limit(HOUR_MS), '10s'),
  /** 1,000 bytes a second, over every stallTimeout: slower bodies are cut off. */
  minBodyRate: v.optional(integer({ min: 0, max: 1_000_000_000 }), 1_000),
}

export const tlsFiles = v.strictObject({ certFile: text(), keyFile: text(), caFile: v.optional(text()) })

export const allowedHosts = v.pipe(v.array(text(255)), v.maxLength(100, 'at most 100 names'))

const httpLimitsObject = v.strictObject(httpLimits)
export type HttpLimitsGiven = v.InferOutput<typeof httpLimitsObject>

export function compileHttpLimits(given: HttpLimitsGiven): HttpLimits {
  return {
    connectionsMax: given.maxConnections,
    connectionsPerAddressMax: given.maxConnectionsPerAddress,
    headerBytesMax: given.maxHeaderSize,
    headersMax: given.maxHeaders,
    headersTimeoutMs: given.headersTimeout,
    requestTimeoutMs: given.requestTimeout,
    keepAliveTimeoutMs: given.keepAliveTimeout,
    stallTimeoutMs: given.stallTimeout,
    bodyBytesPerSecondMin: given.minBodyRate,
  }
}

/** What stands where nothing is said. */
export const HTTP_LIMITS: HttpLimits = compileHttpLimits(v.parse(httpLimitsObject, {}))

export function httpServerOn(listen: Listen): HttpServerConfig {
  return { listen, tls: null, allowedHosts: null, limits: HTTP_LIMITS }
}

/** The wait for headers within the whole request's, so that both mean something. */
export function limitsFault(limits: HttpLimits): string | null {
  if (limits.headersTimeoutMs > limits.requestTimeoutMs) return 'expected at most requestTimeout, got more'
  return null
}

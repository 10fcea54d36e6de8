/**
 * What device and hub say to each other: topics, HTTPS bodies, the batch frame's header. Both sides check every message
 * against these schemas. docs/protocol.md tells it in prose.
 */
import * as v from 'valibot'
import { ALIASES_MAX, aliasName, Routes } from './routes.ts'

export const WIRE_VERSION = 1
/** Bytes of one MQTT payload on the device-hub link at the most, both ways. */
export const WIRE_PAYLOAD_BYTES_MAX = 1024 * 1024
/** Bytes of an HTTPS JSON body at the most. */
export const WIRE_JSON_BYTES_MAX = 1024 * 1024

/** Topics of one device on the hub's gateway. The device's certificate (CN = device id) opens these and no others. */
export const topics = {
  /** up, QoS 1: one batch frame; PUBACK = stored at the hub. */
  events: (device: string) => `dunlin/v1/${device}/events`,
  /** up, QoS 1: Reported as JSON. */
  reported: (device: string) => `dunlin/v1/${device}/reported`,
  /** up, QoS 1: LogBatch as JSON, zstd. */
  logs: (device: string) => `dunlin/v1/${device}/logs`,
  /** down, QoS 1: Desired as JSON; sent on each connect and on each change. */
  desired: (device: string) => `dunlin/v1/${device}/desired`,
}

export const DEVICE_ID_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
export const FUNCTION_NAME_PATTERN = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
export const STREAM_NAME_PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/
export const DIGEST_PATTERN = /^[0-9a-f]{64}$/

const deviceId = v.pipe(v.string(), v.regex(DEVICE_ID_PATTERN, 'expected 1 to 63 of a-z, 0-9 and -'))
const functionName = v.pipe(v.string(), v.regex(FUNCTION_NAME_PATTERN, 'expected 1 to 63 of a-z, 0-9 and -'))
const digest = v.pipe(v.string(), v.regex(DIGEST_PATTERN, 'expected a SHA-256 in hex'))
const positive = v.pipe(v.number(), v.integer(), v.minValue(1))

/** A signed function version: the TUF target `functions/<name>/<version>.json`. Files are fetched by digest. */
export const BundleManifest = v.strictObject({
  dunlin: v.literal(WIRE_VERSION),
  name: functionName,
  version: positive,
  files: v.pipe(
    v.array(
      v.strictObject({
        /** Relative, forward slashes, no `..`; checked again where it is written. */
        path: v.pipe(v.string(), v.minLength(1), v.maxLength(512)),
        size: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1024 ** 3)),
        sha256: digest,
        executable: v.optional(v.boolean(), false),
      }),
    ),
    v.maxLength(4096),
  ),
  /** Of function.yaml as it was when the bundle was made; always among files. */
  config: v.pipe(v.string(), v.minLength(1)),
})
export type BundleManifest = v.InferOutput<typeof BundleManifest>

export const targetPath = (name: string, version: number): string => `functions/${name}/${version}.json`

/** POST /device/v1/enrol. `proof` = signature (ECDSA P-256, SHA-256, DER, base64) by the device's new key over `dunlin-enrol\n<token>\n<name>\n<publicKey>`. */
export const EnrolRequest = v.strictObject({
  token: v.pipe(v.string(), v.minLength(20), v.maxLength(512)),
  name: deviceId,
  /** SPKI, PEM. */
  publicKey: v.pipe(v.string(), v.maxLength(4096)),
  proof: v.pipe(v.string(), v.maxLength(1024)),
  facts: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {}),
})
export type EnrolRequest = v.InferOutput<typeof EnrolRequest>

export const EnrolResponse = v.object({
  device: deviceId,
  /** PEM. */
  certificate: v.string(),
  ca: v.string(),
  /** TUF root.json (first version the device trusts), as text. */
  tufRoot: v.string(),
  gateway: v.strictObject({ host: v.string(), port: positive }),
})
export type EnrolResponse = v.InferOutput<typeof EnrolResponse>

/** Claim token: `dnl1.<secret>.<fingerprint>`; the fingerprint (SHA-256 of the hub CA's DER, hex) lets the device know the hub before it has a CA. */
export const CLAIM_TOKEN_PATTERN = /^dnl1\.[A-Za-z0-9_-]{22,64}\.[0-9a-f]{64}$/

export const Desired = v.object({
  /** Grows with each change. */
  revision: v.pipe(v.number(), v.integer(), v.minValue(0)),
  functions: v.pipe(
    v.array(
      v.object({
        name: functionName,
        /** Of production. */
        version: positive,
        disabled: v.optional(v.boolean(), false),
        /** Further versions beside it. A device that does not know aliases runs production alone. */
        aliases: v.optional(
          v.pipe(
            v.array(v.object({ alias: aliasName, version: positive, disabled: v.optional(v.boolean(), false) })),
            v.maxLength(ALIASES_MAX),
          ),
        ),
        /** Left out: the device's own, or those of function.yaml. */
        routes: v.optional(Routes),
      }),
    ),
    v.maxLength(256),
  ),
  /** Hub's wall clock, ms: gives clocks without RTC a floor. */
  hubTimeMs: v.number(),
})
export type Desired = v.InferOutput<typeof Desired>

export const DEPLOYMENT_STATES = ['fetching', 'verifying', 'staging', 'activating', 'probation', 'committed', 'rolledback'] as const
export type DeploymentState = (typeof DEPLOYMENT_STATES)[number]

export const Reported = v.object({
  revision: v.pipe(v.number(), v.integer(), v.minValue(0)),
  agent: v.object({ version: v.string(), boot: v.number(), startedMs: v.number() }),
  functions: v.array(
    v.object({
      name: functionName,
      /** Left out: production. */
      alias: v.optional(aliasName),
      version: positive,
      state: v.picklist(DEPLOYMENT_STATES),
      ready: v.boolean(),
      error: v.optional(v.string()),
    }),
  ),
  /** Ledger rows of the streams, for reconciliation. */
  streams: v.array(v.object({ name: v.string(), epoch: v.string(), lastSeq: v.number(), waiting: v.number(), firstWaiting: v.number() })),
  facts: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {}),
})
export type Reported = v.InferOutput<typeof Reported>

export const LogBatch = v.object({
  lines: v.pipe(
    v.array(
      v.object({
        timeMs: v.number(),
        level: v.picklist(['debug', 'info', 'warn', 'error']),
        function: v.optional(v.string()),
        message: v.string(),
        fields: v.optional(v.record(v.string(), v.unknown())),
      }),
    ),
    v.maxLength(1000),
  ),
  dropped: v.optional(v.number(), 0),
})
export type LogBatch = v.InferOutput<typeof LogBatch>

/**
 * A batch of stream rows: what `topics.events` carries.
 *
 *   0  4 bytes 'DNB1'
 *   4  u8      1 = zstd, 0 = stored
 *   5  u8      length of the stream's name
 *   6  u8      length of the epoch
 *   7  u8      0
 *   8  u32     rows
 *   12 u32     bytes of the rows when unpacked
 *   16 u64     seq of the first row
 *   24 name, epoch (UTF-8)
 *   .. rows: u32 seq minus first seq, u32 record bytes, record (docs/record.md, kind EMIT)
 *
 * Little-endian. Rows are in order of seq; holes are allowed (rows that ended otherwise).
 */
export const FRAME_MAGIC = 0x31424e44
export const FRAME_HEADER_BYTES = 24
export const FRAME_ROW_HEADER_BYTES = 8
export const FRAME_UNPACKED_BYTES_MAX = 8 * 1024 * 1024
export const FRAME_ROWS_MAX = 10_000

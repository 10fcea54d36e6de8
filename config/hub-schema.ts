/** hub.yaml: every field with its default, unit and reason. */
import * as v from 'valibot'
import { logSection } from './agent-schema.ts'
import { duration, integer, listen, port, section, size, text } from './fields.ts'

const MiB = 1024 ** 2
const GiB = 1024 ** 3
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const HOST_NAME =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*|[0-9a-fA-F]*:[0-9a-fA-F:.]+)$/
const hostName = v.pipe(v.string(), v.regex(HOST_NAME, 'a host name or an address'), v.maxLength(253, 'at most 253 characters'))

export const HubDocument = v.strictObject({
  /** Everything the hub keeps: database, files, keys. */
  dataDir: v.optional(text(), '/var/lib/dunlin/hub'),
  /** Names that devices and operators reach the hub by; its certificate is made for them. */
  names: v.optional(v.pipe(v.array(hostName), v.minLength(1, 'at least one name'), v.maxLength(100, 'at most 100 names')), [
    'localhost',
    '127.0.0.1',
  ]),
  /** On all interfaces: devices must reach it, and every request needs a certificate or a token. */
  api: v.optional(listen, '0.0.0.0:8443'),
  gateway: v.optional(listen, '0.0.0.0:8883'),
  advertise: section({
    /** Default: the name that the device itself used. */
    host: v.optional(hostName),
    /** Default: the port of `gateway`. Another one when a load balancer stands in front. */
    gatewayPort: v.optional(port),
  }),
  limits: section({
    /** 10,000: what one process was built for. */
    devicesMax: v.optional(integer({ min: 1, max: 1_000_000 }), 10_000),
    /** 20,000: each device once, and again while it reconnects. */
    connectionsMax: v.optional(integer({ min: 1, max: 1_000_000 }), 20_000),
    /** 10,000: a whole site may sit behind one address. */
    connectionsPerAddressMax: v.optional(integer({ min: 1, max: 1_000_000 }), 10_000),
    /** 1 GiB: one file of a bundle; models are large. */
    blobBytesMax: v.optional(size({ min: 1 * MiB, max: 16 * GiB }), '1GiB'),
    /** 1 MiB: any other request. */
    requestBytesMax: v.optional(size({ min: 1024, max: 64 * MiB }), '1MiB'),
    /** 100,000 newest lines per device; older ones go. */
    logLinesPerDeviceMax: v.optional(integer({ min: 1000, max: 100_000_000 }), 100_000),
    /** 365 days: a device that was away for months still comes back; renewal starts at two thirds. */
    deviceCertificateLife: v.optional(duration({ min: HOUR_MS, max: 3650 * DAY_MS }), '365d'),
  }),
  log: logSection,
})
export type HubDocument = v.InferInput<typeof HubDocument>

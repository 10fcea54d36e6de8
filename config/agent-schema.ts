/** agent.yaml: every field with its default, unit and reason. */
import * as v from 'valibot'
import { duration, fraction, integer, listen, section, size, text, topicFilter } from './fields.ts'
import { allowedHosts, httpLimits, tlsFiles } from './http-server.ts'
import { isPasswordHash } from './password.ts'
import { DEVICE_ID_PATTERN } from './wire.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const TiB = 1024 * GiB
const SECOND_MS = 1000
const DAY_MS = 86_400_000

const count = (max: number) => integer({ min: 1, max })

export const logSection = section({
  /** info: what an operator reads; debug also tells each event's way. */
  level: v.optional(v.picklist(['debug', 'info', 'warn', 'error', 'silent']), 'info'),
})

const passwordHash = v.pipe(v.string(), v.check(isPasswordHash, 'a scrypt hash ("scrypt$16384$8$1$salt$hash"), never the password itself'))

const brokerLimits = section({
  /** 4 KiB, before anybody is known: without it a few sockets fill the memory. */
  connectBytesMax: v.optional(size({ min: 256, max: MiB }), '4KiB'),
  /** 256 KiB: one MQTT packet, so one sensor message. */
  packetBytesMax: v.optional(size({ min: 1 * KiB, max: 256 * MiB }), '256KiB'),
  /** 5 s from the connection to CONNECT. */
  connectTimeout: v.optional(duration({ min: 100, max: 300 * SECOND_MS }), '5s'),
  /** 1,000: about 30 MB of sockets on the smallest boards. */
  connectionsMax: v.optional(count(100_000), 1000),
  /** 100 from one address; loopback is exempt. */
  connectionsPerAddressMax: v.optional(count(100_000), 100),
  /** 300 s: a longer keep-alive is shortened to this. */
  keepaliveMax: v.optional(duration({ min: SECOND_MS, max: 65_535 * SECOND_MS }), '300s'),
  /** 1,000 messages wait for a client that is away. */
  queuedPerClientMax: v.optional(count(1_000_000), 1000),
  /** 1 MiB of them. */
  queuedBytesPerClientMax: v.optional(size({ min: 1 * KiB, max: GiB }), '1MiB'),
  /** 1,000 sessions kept for clients that are away. */
  sessionsMax: v.optional(count(1_000_000), 1000),
  /** 24 h after a client left. */
  sessionExpiry: v.optional(duration({ min: SECOND_MS, max: 365 * DAY_MS }), '24h'),
  /** 10,000 retained messages. */
  retainedMax: v.optional(count(10_000_000), 10_000),
  /** 16 MiB of them. */
  retainedBytesMax: v.optional(size({ min: 1 * KiB, max: 16 * GiB }), '16MiB'),
  /** 100 filters of one client. */
  subscriptionsPerClientMax: v.optional(count(100_000), 100),
  /** 32: deeper topics cost time at every match. */
  topicLevelsMax: v.optional(integer({ min: 1, max: 512 }), 32),
})

const broker = section({
  enabled: v.optional(v.boolean(), true),
  /** Loopback until somebody opens it; 1883 is MQTT's port. */
  listen: v.optional(listen, '127.0.0.1:1883'),
  /** Files in PEM. `caFile`: clients must show a certificate of this CA. */
  tls: v.optional(v.strictObject({ certFile: text(), keyFile: text(), caFile: v.optional(text()) })),
  /** loopback: clients without a user name only from the device itself. */
  allowAnonymous: v.optional(v.union([v.boolean(), v.picklist(['loopback'])]), 'loopback'),
  users: v.optional(
    v.pipe(v.array(v.strictObject({ name: text(128), password: passwordHash })), v.maxLength(1000, 'at most 1000 users')),
    [],
  ),
  /** Who may do what; what no rule allows is refused. Default: whoever got in may use every topic outside `$SYS`. */
  acl: v.optional(
    v.pipe(
      v.array(
        v.strictObject({ user: text(128), publish: v.optional(v.array(topicFilter), []), subscribe: v.optional(v.array(topicFilter), []) }),
      ),
      v.maxLength(1000, 'at most 1000 rules'),
    ),
    [{ user: '*', publish: ['#'], subscribe: ['#'] }],
  ),
  limits: brokerLimits,
})

export const AgentDocument = v.strictObject({
  /** Everything the agent keeps: database, keys, bundles. */
  dataDir: v.optional(text(), '/var/lib/dunlin/agent'),
  /** Default: the host name of the machine. */
  name: v.optional(v.pipe(v.string(), v.regex(DEVICE_ID_PATTERN, '1 to 63 of a-z, 0-9 and "-", not at the ends'))),
  hub: section({
    /** Default: none, the device works alone. */
    url: v.optional(v.pipe(v.string(), v.check(isHubUrl, 'a URL such as "https://hub.example.com:8443"'))),
    claimToken: v.optional(text(1024)),
    /** Keeps the token out of this file. */
    claimTokenFile: v.optional(text()),
  }),
  broker,
  http: section({
    /** Functions with an HTTP trigger; loopback until somebody opens it. */
    listen: v.optional(listen, '127.0.0.1:8080'),
    tls: v.optional(tlsFiles),
    /** Default: loopback names while it listens on loopback, any elsewhere. */
    allowedHosts: v.optional(allowedHosts),
    ...httpLimits,
  }),
  store: section({
    /** 1 GiB of events waiting: weeks offline for most sensors, and an SD card still has room. */
    maxBytes: v.optional(size({ min: 16 * MiB, max: TiB }), '1GiB'),
    /** 0: each group of events is committed at once. More saves flash and delays the acknowledgement by so much. */
    commitInterval: v.optional(duration({ min: 0, max: 60 * SECOND_MS }), '0ms'),
  }),
  export: section({
    /** 500 rows or 256 KiB, whichever comes first: one message, one commit at the hub. */
    batchRows: v.optional(count(10_000), 500),
    batchBytes: v.optional(size({ min: 1 * KiB, max: 1 * MiB }), '256KiB'),
    /** 8 batches unconfirmed: fills a link of 100 ms, loses little when it breaks. */
    inFlight: v.optional(count(64), 8),
    /** 50,000: a backlog of weeks drains in minutes and does not swamp the hub. */
    backlogRowsPerSecond: v.optional(count(1_000_000), 50_000),
    /** 0.5 of the link stays for live rows while a backlog drains. */
    liveShare: v.optional(fraction({ min: 0.05, max: 0.95 }), 0.5),
  }),
  log: logSection,
  /** Default: none. One folder per function, each with its function.yaml. */
  functionsDir: v.optional(text()),
})
export type AgentDocument = v.InferInput<typeof AgentDocument>

function isHubUrl(given: string): boolean {
  if (!URL.canParse(given)) return false
  const { protocol, username, password, search, hash } = new URL(given)
  return protocol === 'https:' && username === '' && password === '' && search === '' && hash === ''
}

import type { PeerCertificate, TlsOptions } from 'node:tls'
import type { BrokerConfig } from '../../config/agent-config.ts'
import type { Logger } from '../../runtime/base/log.ts'

/** A message as a client published it. `payload` is a view into the socket's chunk: copy it if you keep it. */
export interface InboundMessage {
  /** The publisher's client id; '' when a function published it. */
  readonly clientId: string
  readonly topic: string
  readonly payload: Buffer
  readonly qos: 0 | 1 | 2
  readonly retain: boolean
}

/**
 * Where messages go before they are acknowledged. Called once for each message, in the client's order, many at a time:
 * PUBACK (PUBREC for QoS 2) waits for `done`. `done(error)`: never acknowledged, and the client is closed so that it sends again.
 */
export interface Ingest {
  publish(message: InboundMessage, done: (error: Error | null) => void): void
}

/** What is known of a client that asks to connect. */
export interface ConnectAttempt {
  readonly clientId: string
  readonly cleanSession: boolean
  readonly username: string | null
  readonly password: Buffer | null
  readonly address: string
  readonly isLoopback: boolean
  /** Only when TLS verified it against the given CA; else null. */
  readonly certificate: PeerCertificate | null
}

/** MQTT 3.1.1 CONNACK codes: 2 identifier, 3 unavailable, 4 user or password, 5 not authorized. */
export type AuthVerdict = { readonly identity: string } | { readonly refuse: string; readonly returnCode?: 2 | 3 | 4 | 5 }

/** A client that was let in. */
export interface ClientInfo {
  readonly clientId: string
  /** Whom the client acts for: a user name, a certificate's name, or '' for anonymous. */
  readonly identity: string
  readonly username: string | null
  readonly address: string
  readonly isLoopback: boolean
}

export type Verb = 'publish' | 'subscribe'
export type Authenticate = (attempt: ConnectAttempt) => Promise<AuthVerdict>
/**
 * `topic` is a filter when the verb is 'subscribe'. `$` topics are closed before this is asked. A yes to 'publish' is remembered for
 * the connection: whoever takes a right away also calls disconnect().
 */
export type Authorize = (identity: string, verb: Verb, topic: string, client: ClientInfo) => boolean

export type ClientEvent =
  | { readonly type: 'connected'; readonly client: ClientInfo }
  | { readonly type: 'disconnected'; readonly client: ClientInfo; readonly reason: string }

export interface BrokerOptions {
  readonly config: BrokerConfig
  /** Instead of config.listen. */
  readonly listen?: { readonly host: string; readonly port: number }
  /** How errors name the address: the setting a person has to change. */
  readonly setting?: string
  /** Instead of config.tls. With `ca` given, a client certificate is asked for, not demanded: authenticate() sees it if it is good. */
  readonly tls?: TlsOptions
  /** Instead of config.users and config.allowAnonymous. */
  readonly authenticate?: Authenticate
  /** Instead of config.acl. */
  readonly authorize?: Authorize
  readonly ingest: Ingest
  readonly onClient?: (event: ClientEvent) => void
  readonly logger: Logger
}

export interface PublishOptions {
  readonly qos?: 0 | 1 | 2
  readonly retain?: boolean
  /** Also hand it to the ingest, so that mqtt triggers see it; the promise then waits for the commit. Default false. */
  readonly ingest?: boolean
}

export interface BrokerStats {
  readonly clients: number
  readonly connections: number
  readonly sessions: number
  readonly retained: number
  readonly retainedBytes: number
  readonly queued: number
  readonly inFlight: number
  /** Messages taken from clients: the ingest confirmed them. */
  readonly received: number
  readonly counters: BrokerCounters
}

/** Everything that was refused or dropped, by reason. */
export interface BrokerCounters {
  connectionsRefused: number
  connectTimeouts: number
  malformed: number
  oversized: number
  loginsFailed: number
  connectsRefused: number
  publishesDenied: number
  subscribesDenied: number
  ingestRefused: number
  retainedRefused: number
  queueDropped: number
  slowDropped: number
  slowClosed: number
  sessionsExpired: number
  takeovers: number
  willsRefused: number
  persistenceErrors: number
}

export interface Broker {
  readonly address: { readonly host: string; readonly port: number }
  publish(topic: string, payload: Buffer | string, options?: PublishOptions): Promise<void>
  stats(): BrokerStats
  clients(): ClientInfo[]
  /** Closes the client's connection, if it has one. Its session stays. */
  disconnect(clientId: string, reason: string): boolean
  /** Idempotent. Wills are not published: the broker's end is not the sensor's. */
  close(): Promise<void>
}

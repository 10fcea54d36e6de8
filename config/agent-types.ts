import type { HttpServerConfig } from './http-server.ts'
import type { Listen } from './listen.ts'

/** What the agent works with after agent.yaml has been checked, defaulted and compiled. */
export interface AgentConfig {
  readonly dataDir: string
  /** The device's name when it enrols; null: the machine's host name. */
  readonly name: string | null
  readonly hub: {
    readonly url: string | null
    readonly claimToken: string | null
    readonly claimTokenFile: string | null
  }
  readonly broker: BrokerConfig
  readonly http: HttpServerConfig
  readonly store: { readonly maxBytes: number; readonly commitIntervalMs: number }
  readonly export: {
    readonly batchRows: number
    readonly batchBytes: number
    /** Batches sent and not yet confirmed. */
    readonly inFlight: number
    readonly backlogRowsPerSecond: number
    /** Share of the link kept for live rows while a backlog drains, 0 to 1. */
    readonly liveShare: number
  }
  readonly log: { readonly level: LogLevelName }
  /** Run the functions in this folder, one folder each, without a hub. */
  readonly functionsDir: string | null
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface BrokerConfig {
  readonly enabled: boolean
  readonly listen: Listen
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly caFile: string | null } | null
  /** Clients without a user name: all, none, or those on the machine itself. */
  readonly allowAnonymous: boolean | 'loopback'
  readonly users: ReadonlyArray<BrokerUser>
  readonly acl: ReadonlyArray<BrokerAclRule>
  readonly limits: BrokerLimits
}

export interface BrokerUser {
  readonly name: string
  /** A scrypt hash, see password.ts. */
  readonly password: string
}

/** Topic filters; `%c` stands for the client id and `%u` for the user name. */
export interface BrokerAclRule {
  /** A user's name, or `*` for everybody. */
  readonly user: string
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
}

export interface BrokerLimits {
  readonly connectBytesMax: number
  readonly packetBytesMax: number
  readonly connectTimeoutMs: number
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly keepaliveMaxSeconds: number
  readonly queuedPerClientMax: number
  readonly queuedBytesPerClientMax: number
  readonly sessionsMax: number
  readonly sessionExpiryMs: number
  readonly retainedMax: number
  readonly retainedBytesMax: number
  readonly subscriptionsPerClientMax: number
  readonly topicLevelsMax: number
}

/** What the hub's and the agent's APIs answer, as far as commands show it. docs/hub-api.md and docs/agent-api.md tell all of it. */
import type { FunctionStatus } from '../../runtime/functions/function-host.ts'
import type { LedgerRow } from '../../runtime/store/store.ts'
import type { Route, RoutesOrigin } from '../../config/routes.ts'
import type { Reported } from '../../config/wire.ts'

export interface HubDevice {
  readonly id: string
  readonly state: string
  readonly connected: boolean
  readonly lastSeen: string | null
  readonly facts: Readonly<Record<string, unknown>>
  readonly desiredRevision: number
  readonly reported: Reported | null
}

export interface HubFunction {
  readonly name: string
  readonly version: number
  readonly digest: string
  readonly created: string
}

export interface HubStream {
  readonly device: string
  readonly stream: string
  readonly epoch: string
  readonly contiguousSeq: number
  readonly maxSeq: number
  readonly stored: number
  readonly gaps: ReadonlyArray<readonly [number, number]>
  readonly gapCount: number
  readonly bytes: number
}

export interface HubEvent {
  readonly device: string
  readonly stream: string
  readonly epoch: string
  readonly seq: number
  readonly id: string
  readonly time: string | null
  readonly receivedAt: string | null
  readonly contentType: string | null
  readonly replayed: boolean
  readonly body?: string
  readonly bodyBase64?: string
}

export interface HubStatus {
  readonly started: string
  readonly devices: { readonly total: number; readonly accepted: number; readonly connected: number }
  readonly ingest: { readonly rows: number; readonly duplicates: number }
  readonly gateway: { readonly host: string; readonly port: number }
}

export interface HubLogLine {
  readonly id: number
  readonly device: string
  readonly time: string | null
  readonly level: string
  readonly function: string | null
  readonly message: string
  readonly fields: unknown
}

export interface AgentStatus {
  readonly device: string | null
  readonly version: string
  readonly uptimeMs: number
  readonly boot: number
  readonly link: { readonly state: string; readonly since?: number; readonly hub?: string | null }
  readonly broker: { readonly address?: { readonly host: string; readonly port: number }; readonly [key: string]: unknown } | null
  readonly functions: readonly FunctionStatus[]
  readonly counters: {
    readonly received: number
    readonly handled: number
    readonly failed: number
    readonly stored: number
    readonly delivered: number
  }
  readonly waiting: { readonly inbox: number; readonly streams: number }
  /** Sources where events wait and nobody takes them. */
  readonly unserved?: readonly { readonly source: string; readonly waiting: number }[]
  readonly store: { readonly bytesUsed: number; readonly bytesMax: number }
  readonly memory: { readonly rss: number }
}

export interface AgentLedger {
  readonly sources: readonly LedgerRow[]
  readonly streams: readonly LedgerRow[]
}

export interface AgentLogLine {
  readonly seq: number
  readonly timeMs: number
  readonly level: string
  readonly function?: string
  readonly message: string
  readonly fields?: unknown
}

export interface AgentDeadLetter {
  readonly id: number
  readonly source: string
  readonly timeMs: number
  readonly function: string
  readonly version: string
  readonly error: string
  readonly attempts: number
}

export interface AgentRoutes {
  readonly function: string
  readonly origin: RoutesOrigin
  readonly routes: readonly Route[]
  /** Those whose alias or version does not run there. */
  readonly passedOver: readonly Route[]
  /** Why paths of routes are not served there. */
  readonly problem?: string | null
}

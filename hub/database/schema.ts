/** The tables of hub.db as kysely sees them. migrations.ts makes them; the two change together. */
import type { Generated } from 'kysely'

export type DeviceState = 'pending' | 'accepted' | 'rejected' | 'preauthorized' | 'decommissioned'

export interface Schema {
  devices: DeviceTable
  claim_tokens: ClaimTokenTable
  functions: FunctionTable
  assignments: AssignmentTable
  default_assignments: DefaultAssignmentTable
  releases: ReleaseTable
  streams: StreamTable
  stream_ranges: StreamRangeTable
  events: EventTable
  logs: LogTable
  audit: AuditTable
}

export interface DeviceTable {
  num: Generated<number>
  /** The name; never reused for another row. */
  id: string
  state: DeviceState
  /** SPKI, PEM. */
  public_key: string
  /** SHA-256 of the SPKI's DER, hex: what a certificate is compared with. */
  key_digest: string
  certificate: string
  certificate_serial: string
  certificate_expires_ms: number
  /** The token that enrolled it: the same key may ask again with the same token. */
  claim_token: number | null
  /** JSON. */
  facts: string
  /** Reported as JSON, as it came last. */
  reported: string | null
  desired_revision: number
  connected: number
  last_seen_ms: number | null
  created_ms: number
}

export interface ClaimTokenTable {
  id: Generated<number>
  /** SHA-256 of the secret: the secret itself is shown once and kept nowhere. */
  secret_hash: Buffer
  label: string
  uses_left: number
  expires_ms: number
  created_ms: number
}

export interface FunctionTable {
  name: string
  version: number
  /** SHA-256 of the manifest's text, hex; the text is a blob. */
  digest: string
  manifest: string
  created_ms: number
  /** 1: the publisher took the version out of its targets. */
  withdrawn: number
}

/** What a device gets when it enrols: what was released to all. */
export interface DefaultAssignmentTable {
  function: string
  version: number
  disabled: number
  /** As in an assignment. */
  aliases: Generated<string>
  routes: string | null
}

export interface AssignmentTable {
  device: number
  function: string
  /** Of production. */
  version: number
  disabled: number
  /** JSON array of `{alias, version, disabled}`. */
  aliases: Generated<string>
  /** JSON array; null: the hub does not say who gets which events. */
  routes: string | null
}

export interface ReleaseTable {
  id: Generated<number>
  created_ms: number
  /** JSON of what was asked. */
  request: string
  /** JSON array of device ids that it changed. */
  devices: string
}

/** One row per device, stream and epoch. */
export interface StreamTable {
  id: Generated<number>
  device: number
  name: string
  epoch: string
  stored: number
  bytes: number
  max_seq: number
}

/** Which seqs of a stream are stored, as the fewest [first, last] ranges: what lies between them are the gaps. */
export interface StreamRangeTable {
  stream: number
  first: number
  last: number
}

export interface EventTable {
  /** The order of receipt. */
  id: Generated<number>
  stream: number
  seq: number
  event_id: Buffer
  time_us: number
  received_ms: number
  replayed: number
  content_type: string | null
  head: Buffer | null
  body: Buffer
}

export interface LogTable {
  id: Generated<number>
  device: number
  time_ms: number
  received_ms: number
  level: string
  function: string | null
  message: string
  fields: string | null
}

export interface AuditTable {
  id: Generated<number>
  time_ms: number
  actor: string
  action: string
  subject: string
  detail: string | null
}

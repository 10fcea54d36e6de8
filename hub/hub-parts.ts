import type { HubConfig } from '../config/hub-config.ts'
import type { BlobStore } from './blobs/blob-store.ts'
import type { CertificateAuthority } from './certificates/certificate-authority.ts'
import type { HubDatabase } from './database/hub-database.ts'
import type { Gateway } from './gateway/gateway.ts'
import type { HubIngest } from './ingest/ingest.ts'
import type { Audit } from './registry/audit.ts'
import type { ClaimTokens } from './registry/claim-tokens.ts'
import type { Devices } from './registry/devices.ts'
import type { Enrolment } from './registry/enrolment.ts'
import type { Functions } from './registry/functions.ts'
import type { Releases } from './registry/releases.ts'
import type { TrustRepository } from './trust/trust-repository.ts'

/** What hub.ts has wired, as the API's routes take it. */
export interface HubParts {
  readonly config: HubConfig
  readonly database: HubDatabase
  readonly blobs: BlobStore
  readonly authority: CertificateAuthority
  readonly trust: TrustRepository
  readonly audit: Audit
  readonly tokens: ClaimTokens
  readonly devices: Devices
  readonly enrolment: Enrolment
  readonly functions: Functions
  readonly releases: Releases
  readonly ingest: HubIngest
  readonly gateway: Gateway
}

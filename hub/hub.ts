/**
 * The hub, wired: database, blobs, certificates, trust, registry, ingest, gateway, API, in the order in which each needs the one
 * before. Nothing else happens here.
 */
import { join } from 'node:path'
import type { HubConfig } from '../config/hub-config.ts'
import type { Listen } from '../config/listen.ts'
import { Closer } from '../runtime/base/closer.ts'
import { makePrivateFolder } from '../runtime/base/durable-file.ts'
import type { Logger } from '../runtime/base/log.ts'
import { AdminToken } from './api/admin-token.ts'
import { ApiServer } from './api/api-server.ts'
import type { Route } from './api/route.ts'
import { routesOf } from './api/routes.ts'
import { BlobStore } from './blobs/blob-store.ts'
import { CertificateAuthority } from './certificates/certificate-authority.ts'
import { openServerCertificate } from './certificates/server-certificate.ts'
import { HubDatabase } from './database/hub-database.ts'
import { lockInstance } from './database/instance-lock.ts'
import { Gateway } from './gateway/gateway.ts'
import { GroupCommit } from './ingest/group-commit.ts'
import { HubIngest } from './ingest/ingest.ts'
import { Audit } from './registry/audit.ts'
import { ClaimTokens } from './registry/claim-tokens.ts'
import { Devices } from './registry/devices.ts'
import { Enrolment } from './registry/enrolment.ts'
import { Functions } from './registry/functions.ts'
import { Releases } from './registry/releases.ts'
import { openOnlineKeys } from './trust/online-keys.ts'
import { OnlineSigner } from './trust/online-signer.ts'
import { RepositoryFiles } from './trust/repository-files.ts'
import { TrustRepository } from './trust/trust-repository.ts'

export interface HubOptions {
  readonly config: HubConfig
  readonly logger: Logger
  /** The disk failed under the database: the process must end, nothing more is acknowledged. */
  readonly onBroken?: (error: Error) => void
}

export interface Hub {
  readonly api: Listen
  readonly gateway: Listen
  readonly caFile: string
  readonly adminTokenFile: string
  readonly routes: readonly Route[]
  close(): Promise<void>
}

export async function openHub(options: HubOptions): Promise<Hub> {
  const closer = new Closer()
  try {
    return await wire(options, closer)
  } catch (error) {
    await closer.close().catch(() => {})
    throw error
  }
}

async function wire({ config, logger, onBroken = () => {} }: HubOptions, closer: Closer): Promise<Hub> {
  const { dataDir, limits } = config
  const inDataDir = (name: string) => join(dataDir, name)
  makePrivateFolder(dataDir)

  closer.push(lockInstance(inDataDir('lock')))
  const database = HubDatabase.open(inDataDir('hub.db'))
  closer.push(() => database.close())

  const blobs = new BlobStore(inDataDir('blobs'), { bytesMax: limits.blobBytesMax })
  blobs.open()

  const authority = await CertificateAuthority.open(inDataDir('ca'))
  const server = await openServerCertificate(inDataDir('ca'), authority, config.names)
  const tls = { key: server.key, chain: server.chain, ca: authority.certificate }

  const trust = new TrustRepository(
    new RepositoryFiles(inDataDir('tuf')),
    new OnlineSigner(openOnlineKeys(inDataDir('keys'))),
    logger.child({ part: 'trust' }),
  )
  trust.open()
  closer.push(() => trust.close())

  const audit = new Audit(database)
  const tokens = new ClaimTokens(database, audit, authority.fingerprint)
  const devices = new Devices(database, audit)
  devices.open()
  const functions = new Functions({ database, blobs, trust, audit })
  functions.open()
  const releases = new Releases({ database, functions, audit })
  const enrolment = new Enrolment(
    { database, audit, tokens, devices, authority, releases },
    { certificateLifetimeMs: limits.deviceCertificateMs, devicesMax: limits.devicesMax },
  )

  const commit = new GroupCommit(database, { onBroken })
  closer.push(() => commit.flush())
  const ingest = new HubIngest(
    { database, devices, commit, logger: logger.child({ part: 'ingest' }) },
    { logLinesPerDeviceMax: limits.logLinesPerDeviceMax },
  )

  const gateway = new Gateway(
    { devices, releases, ingest, commit, tls, logger: logger.child({ part: 'gateway' }) },
    { listen: config.gateway, limits },
  )
  await gateway.open()
  closer.push(() => gateway.close())
  const logFailure = (error: unknown) => logger.error({ err: error }, 'cannot tell a device its desired state')
  releases.onChanged = (ids) => void Promise.all(ids.map((id) => gateway.sendDesired(id))).catch(logFailure)
  devices.onDecommissioned = (id) => void gateway.cut(id).catch(logFailure)

  const adminTokenFile = inDataDir('admin-token')
  const parts = { config, database, blobs, authority, trust, audit, tokens, devices, enrolment, functions, releases, ingest, gateway }
  const routes = routesOf(parts)
  const api = new ApiServer(
    { routes, adminToken: AdminToken.open(adminTokenFile), devices, tls, logger: logger.child({ part: 'api' }) },
    { listen: config.api, limits },
  )
  await api.open()
  closer.push(() => api.close())

  return { api: api.address, gateway: gateway.address, caFile: inDataDir('ca/ca.pem'), adminTokenFile, routes, close: () => closer.close() }
}

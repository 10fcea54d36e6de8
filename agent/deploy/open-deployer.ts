import path from 'node:path'
import type { Logger } from '../../runtime/base/log.ts'
import type { Identity } from '../identity/identity.ts'
import { HubHttps } from '../link/hub-https.ts'
import { BlobCache } from './blob-cache.ts'
import { type Activator, Deployer, type DeployerOptions } from './deployer.ts'
import { DeploymentBook } from './deployment-book.ts'
import { TufClient } from './tuf-client.ts'
import { VersionStore } from './version-store.ts'

export interface OpenDeployerOptions extends Pick<DeployerOptions, 'onChange' | 'probationMs' | 'backoff' | 'watchRule'> {
  readonly dataDir: string
  readonly identity: Identity
  readonly activator: Activator
  readonly logger: Logger
}

/** The deployer of an enrolled device, its committed functions running when this resolves; no network is used until `start`. */
export async function openDeployer({ dataDir, identity, logger, ...options }: OpenDeployerOptions): Promise<Deployer> {
  const https = new HubHttps({ url: identity.hubUrl, ca: identity.ca, certificate: identity.certificate, key: identity.key })
  const deployer = new Deployer({
    ...options,
    logger,
    onClose: () => https.close(),
    book: new DeploymentBook(path.join(dataDir, 'functions'), logger),
    versions: new VersionStore(path.join(dataDir, 'functions')),
    blobs: new BlobCache(path.join(dataDir, 'blobs'), https),
    manifests: new TufClient({ directory: path.join(dataDir, 'tuf'), https, firstRoot: identity.tufRoot }),
  })
  await deployer.open()
  return deployer
}

/**
 * A function's source becomes a version at the hub: files that are missing are sent, the publisher signs, the hub publishes.
 * The same content again is not a new version.
 */
import type { BundleManifest } from '../../config/wire.ts'
import { codeOf } from '../../runtime/base/errors.ts'
import { readBundle, type Bundle } from '../publisher/bundle.ts'
import { Publisher, type OnlineKeys } from '../publisher/publisher.ts'
import type { FunctionSource } from '../source/function-source.ts'
import type { HubFunction } from './answers.ts'
import type { HubClient } from './hub-client.ts'

/** Somebody else may publish in the same moment: then the signed targets are one behind. */
const TRIES = 5

export interface Published {
  readonly name: string
  readonly version: number
  /** False: this content was published before. */
  readonly isNew: boolean
}

/** Tells a new hub whose functions to trust; does nothing when it knows. */
export async function initialiseTrust(hub: HubClient, publisherFolder: string): Promise<void> {
  const { trust } = (await hub.get('/v1/status')) as { trust: { isReady: boolean } }
  const publisher = Publisher.open(publisherFolder)
  if (trust.isReady) return
  const online = (await hub.get('/v1/tuf/online-keys')) as OnlineKeys
  await hub.post('/v1/tuf/init', publisher.initialise(online))
}

export async function publishFunction(hub: HubClient, publisherFolder: string, source: FunctionSource): Promise<Published> {
  const { name } = source.config
  for (let attempt = 1; ; attempt++) {
    const newest = await newestVersion(hub, name)
    const bundle = readBundle(source.folder, { name, version: newest + 1, config: source.configName })
    if (newest > 0 && (await isSame(hub, name, newest, bundle))) return { name, version: newest, isNew: false }
    try {
      await publish(hub, publisherFolder, bundle)
      return { name, version: newest + 1, isNew: true }
    } catch (error) {
      if (attempt === TRIES || !['version-conflict', 'version-not-newer'].includes(codeOf(error))) throw error
    }
  }
}

async function publish(hub: HubClient, publisherFolder: string, { manifest, manifestText, files }: Bundle): Promise<void> {
  for (const { sha256, content } of files) if (!(await hub.has(`/v1/blobs/${sha256}`))) await hub.put(`/v1/blobs/${sha256}`, content)
  const { trust } = (await hub.get('/v1/status')) as { trust: { targetsVersion: number } }
  const current = await hub.text(`/v1/tuf/${trust.targetsVersion}.targets.json`)
  const publisher = Publisher.open(publisherFolder)
  const targets = publisher.add(current, { name: manifest.name, version: manifest.version, manifest: manifestText })
  await hub.post('/v1/functions', { manifest: manifestText, targets })
  publisher.confirm(targets)
}

async function newestVersion(hub: HubClient, name: string): Promise<number> {
  const { functions } = (await hub.get('/v1/functions')) as { functions: HubFunction[] }
  return functions.reduce((newest, published) => (published.name === name ? Math.max(newest, published.version) : newest), 0)
}

async function isSame(hub: HubClient, name: string, version: number, { manifest }: Bundle): Promise<boolean> {
  const published = JSON.parse(await hub.text(`/v1/functions/${name}/${version}`)) as BundleManifest
  return contentOf(published) === contentOf(manifest)
}

const contentOf = ({ config, files }: BundleManifest): string =>
  JSON.stringify([config, files.map(({ path, sha256, executable }) => [path, sha256, executable])])

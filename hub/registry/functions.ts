/**
 * Published function versions. The TUF targets are the truth; this table is what the hub can ask quickly, and `open` makes it
 * agree with them (a crash between the two loses nothing).
 */
import * as v from 'valibot'
import { BundleManifest, targetPath } from '../../config/wire.ts'
import { InputError, TrustError } from '../../runtime/base/errors.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import { checkShape } from '../json/check-shape.ts'
import { parseJson } from '../json/parse-json.ts'
import type { TrustRepository } from '../trust/trust-repository.ts'
import type { Audit } from './audit.ts'

const TARGET_PATTERN = /^functions\/([^/]+)\/([1-9][0-9]*)\.json$/

export interface PublishedFunction {
  readonly name: string
  readonly version: number
  readonly digest: string
  readonly created_ms: number
}

export class Functions {
  readonly #database: HubDatabase
  readonly #blobs: BlobStore
  readonly #trust: TrustRepository
  readonly #audit: Audit

  constructor(parts: { database: HubDatabase; blobs: BlobStore; trust: TrustRepository; audit: Audit }) {
    this.#database = parts.database
    this.#blobs = parts.blobs
    this.#trust = parts.trust
    this.#audit = parts.audit
  }

  open(): void {
    this.#database.transaction(() => this.#agreeWithTargets())
  }

  list(): PublishedFunction[] {
    const { query } = this.#database
    const columns = ['name', 'version', 'digest', 'created_ms'] as const
    return this.#database.all(query.selectFrom('functions').select(columns).where('withdrawn', '=', 0).orderBy('name').orderBy('version'))
  }

  find(name: string, version: number): { digest: string; manifest: string } | undefined {
    const { query } = this.#database
    return this.#database.first(
      query
        .selectFrom('functions')
        .select(['digest', 'manifest'])
        .where('name', '=', name)
        .where('version', '=', version)
        .where('withdrawn', '=', 0),
    )
  }

  /**
   * Takes a signed version: the manifest's exact text and the targets that name it. All its files must have been put before.
   * Sending the same again is answered the same.
   */
  publish(manifestText: string, targetsText: string): PublishedFunction {
    const manifest = checkShape(BundleManifest, parseJson(manifestText), 'manifest')
    const path = targetPath(manifest.name, manifest.version)
    const commit = this.#trust.prepare(targetsText, path, manifestText)
    this.#checkFiles(manifest)
    if (commit) {
      this.#checkNewer(manifest)
      this.#blobs.putText(manifestText)
      commit()
      this.#database.transaction(() => {
        this.#agreeWithTargets()
        this.#audit.add({ actor: 'operator', action: 'function.published', subject: `${manifest.name}/${manifest.version}` })
      })
    }
    return this.list().find(({ name, version }) => name === manifest.name && version === manifest.version)!
  }

  #checkFiles(manifest: BundleManifest): void {
    if (!manifest.files.some(({ path }) => path === manifest.config))
      throw new InputError('config-missing', `Cannot find ${manifest.config} among the files`)
    for (const { path, size, sha256 } of manifest.files) {
      const found = this.#blobs.size(sha256)
      if (found === undefined)
        throw new InputError('blob-missing', `Cannot publish: ${path} is not here`, { hint: `PUT /v1/blobs/${sha256} first` })
      if (found !== size) throw new TrustError('size-mismatch', `Cannot publish: ${path} has ${found} bytes, the manifest says ${size}`)
    }
  }

  #checkNewer({ name, version }: BundleManifest): void {
    const { query } = this.#database
    const newest = this.#database.first(
      query
        .selectFrom('functions')
        .select(({ fn }) => fn.max('version').as('version'))
        .where('name', '=', name),
    )
    if (newest?.version && newest.version >= version) {
      throw new InputError('version-not-newer', `Cannot publish ${name} ${version}: ${newest.version} is published`, {
        hint: `Publish it as version ${newest.version + 1}`,
      })
    }
  }

  #agreeWithTargets(): void {
    const { query } = this.#database
    this.#database.run(query.updateTable('functions').set({ withdrawn: 1 }))
    for (const [path, target] of Object.entries(this.#trust.targets())) {
      const [, name, version] = TARGET_PATTERN.exec(path) ?? []
      if (name === undefined || version === undefined) continue
      const digest = target.hashes['sha256']!
      const row = { name, version: Number(version), digest, manifest: this.#blobs.readText(digest), created_ms: Date.now(), withdrawn: 0 }
      this.#database.run(
        query
          .insertInto('functions')
          .values(row)
          .onConflict((c) => c.columns(['name', 'version']).doUpdateSet({ withdrawn: 0 })),
      )
    }
  }
}

export const PublishRequest = v.strictObject({ manifest: v.string(), targets: v.string() })

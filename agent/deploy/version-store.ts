/**
 * Function versions on disk, in <dataDir>/functions:
 *
 *   <name>/<version>/       the files, exactly as signed
 *   <name>/<version>.json   the signed manifest, exactly as it came
 *   <name>/current          the number of the committed version
 *   <name>/current@<alias>  the same of another alias than production
 *
 * A version's directory appears by one rename, when every file and directory in it is on the disk: it is whole or not there.
 * `name` is a function's, or `function@alias`; the files of a version are there once, whatever aliases run it.
 * Files are copied out of the blobs and hashed as they are written; a function that writes into its own directory harms no blob.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { ALIAS_PATTERN, PRODUCTION, readSlot, slotName } from '../../config/routes.ts'
import { type BundleManifest, FUNCTION_NAME_PATTERN } from '../../config/wire.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { makeDirectoryDurably, syncDirectory, writeFileDurably } from '../../runtime/base/durable-write.ts'
import { codeOf, TrustError } from '../../runtime/base/errors.ts'
import { digestOfFile } from './digest.ts'
import { readManifest } from './manifest.ts'

export interface StagedVersion {
  readonly name: string
  readonly version: number
  readonly directory: string
  readonly manifest: BundleManifest
}

const CURRENT = 'current'
const LEFTOVER = /\.(staging|old)$|\.tmp$/

export class VersionStore {
  readonly #root: string

  constructor(functionsDir: string) {
    this.#root = functionsDir
  }

  /** Makes the folder and removes what a crash left half made. */
  async open(): Promise<void> {
    await makeDirectoryDurably(this.#root, 0o700)
    for (const name of await this.names()) {
      for (const entry of await readdir(path.join(this.#root, name))) {
        if (LEFTOVER.test(entry)) await rm(path.join(this.#root, name, entry), { recursive: true, force: true })
      }
    }
  }

  async names(): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory() && FUNCTION_NAME_PATTERN.test(entry.name)).map(({ name }) => name)
  }

  /**
   * Functions and aliases of them that have a committed version; aliases before their function: its triggers listen when production
   * starts, and by then each event must have where to go.
   */
  async committed(): Promise<string[]> {
    const found: string[] = []
    for (const name of await this.names()) {
      const files = (await readdir(path.join(this.#root, name))).filter((file) => file.startsWith(CURRENT))
      const aliases = files.filter((file) => file !== CURRENT).map((file) => file.slice(CURRENT.length + 1))
      found.push(...aliases.filter((alias) => ALIAS_PATTERN.test(alias)).map((alias) => slotName(name, alias)))
      if (files.includes(CURRENT)) found.push(name)
    }
    return found
  }

  /** The committed version; null: none. */
  async current(name: string): Promise<number | null> {
    const text = await readIfThere(this.#currentFile(name))
    return text !== undefined && /^[1-9]\d{0,14}\n?$/.test(text) ? Number(text) : null
  }

  async setCurrent(name: string, version: number): Promise<void> {
    await writeFileDurably(this.#currentFile(name), `${version}\n`)
  }

  /** The alias has no committed version any more; files stay. */
  async clearCurrent(name: string): Promise<void> {
    await rm(this.#currentFile(name), { force: true })
    await syncDirectory(path.dirname(this.#currentFile(name))).catch((error: unknown) => {
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }

  /** The version, every file hashed again. Throws TrustError 'bundle-damaged'. */
  async verify(name: string, version: number): Promise<StagedVersion> {
    const directory = this.#path(name, `${version}`)
    const text = await readIfThere(`${directory}.json`)
    if (text === undefined) throw damaged(name, version, 'its manifest is missing')
    const manifest = readManifest(text, readSlot(name).name, version)
    for (const file of manifest.files) {
      const found = await digestOfFile(path.join(directory, file.path)).catch((error: unknown) => codeOf(error))
      if (found !== file.sha256) throw damaged(name, version, `${file.path} is ${found ?? 'missing'}, expected ${file.sha256}`)
    }
    return { name, version, directory, manifest }
  }

  /** Puts a version together from whole blobs. Afterwards it is on disk for good. */
  async stage(name: string, version: number, manifestText: string, blobPath: (sha256: string) => string): Promise<void> {
    const manifest = readManifest(manifestText, readSlot(name).name, version)
    const parent = path.join(this.#root, readSlot(name).name)
    const staging = this.#path(name, `${version}.staging`)
    await makeDirectoryDurably(parent)
    await rm(staging, { recursive: true, force: true })
    try {
      await this.#fill(staging, manifest, blobPath)
      await writeFileDurably(this.#path(name, `${version}.json`), manifestText)
      crashPoint('deploy:before-rename')
      await this.#putInPlace(staging, this.#path(name, `${version}`))
      await syncDirectory(parent)
      crashPoint('deploy:after-rename')
    } catch (error) {
      await rm(staging, { recursive: true, force: true })
      throw error
    }
  }

  /** Removes all versions of a function but these. */
  async keepOnly(name: string, versions: readonly (number | null)[]): Promise<void> {
    for (const entry of await readdir(path.join(this.#root, name))) {
      const version = /^(\d+)(\.json)?$/.exec(entry)?.[1]
      if (version && !versions.includes(Number(version))) await rm(this.#path(name, entry), { recursive: true, force: true })
    }
    await syncDirectory(path.join(this.#root, name))
  }

  /** Removes a function with all its aliases. */
  async remove(name: string): Promise<void> {
    // First what makes it run at the next start.
    await rm(this.#path(name, CURRENT), { force: true })
    await rm(path.join(this.#root, name), { recursive: true, force: true })
    await syncDirectory(this.#root)
  }

  /** Digests of the files of every version on disk. */
  async digests(): Promise<Set<string>> {
    const found = new Set<string>()
    for (const name of await this.names()) {
      for (const entry of await readdir(path.join(this.#root, name))) {
        const version = /^(\d+)\.json$/.exec(entry)?.[1]
        if (!version) continue
        for (const { sha256 } of await this.#filesOf(name, Number(version))) found.add(sha256)
      }
    }
    return found
  }

  /** None when the manifest does not read: the version is damaged, and fetched again. */
  async #filesOf(name: string, version: number): Promise<BundleManifest['files']> {
    const text = await readFile(this.#path(name, `${version}.json`), 'utf8')
    try {
      return readManifest(text, name, version).files
    } catch {
      return []
    }
  }

  async #fill(staging: string, manifest: BundleManifest, blobPath: (sha256: string) => string): Promise<void> {
    const directories = new Set([staging])
    await mkdir(staging, { mode: 0o755 })
    for (const file of manifest.files) {
      const target = path.join(staging, file.path)
      await mkdir(path.dirname(target), { recursive: true, mode: 0o755 })
      for (let directory = path.dirname(target); directory !== staging; directory = path.dirname(directory)) directories.add(directory)
      const found = await copyHashed(blobPath(file.sha256), target, file.executable ? 0o755 : 0o644)
      if (found !== file.sha256)
        throw new TrustError('digest-mismatch', `Cannot stage ${file.path}: digest is ${found}, expected ${file.sha256}`)
      crashPoint('deploy:mid-staging')
    }
    for (const directory of directories) await syncDirectory(directory)
  }

  async #putInPlace(staging: string, target: string): Promise<void> {
    try {
      await rename(staging, target)
    } catch (error) {
      if (!['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) throw error
      // A damaged version of the same number.
      await rm(`${target}.old`, { recursive: true, force: true })
      await rename(target, `${target}.old`)
      await rename(staging, target)
      await rm(`${target}.old`, { recursive: true, force: true })
    }
  }

  #currentFile(name: string): string {
    const { alias } = readSlot(name)
    return this.#path(name, alias === PRODUCTION ? CURRENT : `${CURRENT}@${alias}`)
  }

  #path(name: string, entry: string): string {
    return path.join(this.#root, readSlot(name).name, entry)
  }
}

/** Copies and fsyncs; returns the digest of the very bytes that were written. */
async function copyHashed(source: string, target: string, mode: number): Promise<string> {
  const hash = createHash('sha256')
  const file = await open(target, 'wx', mode)
  try {
    for await (const chunk of createReadStream(source) as AsyncIterable<Buffer>) {
      hash.update(chunk)
      await file.writeFile(chunk)
    }
    await file.chmod(mode)
    await file.sync()
  } finally {
    await file.close()
  }
  return hash.digest('hex')
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function damaged(name: string, version: number, what: string): TrustError {
  return new TrustError('bundle-damaged', `Cannot run ${name} version ${version}: ${what}`, {
    hint: 'it is deployed again as soon as the hub is there',
  })
}

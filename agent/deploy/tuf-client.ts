/**
 * Asks which manifest of a function version the publisher has signed (The Update Framework, tuf-js). The hub only stores it: it
 * can neither make one nor bring back an older state, because the versions seen last are kept here.
 *
 * tuf-js writes its files in place. So it works in a scratch copy, and what it has verified is taken over durably afterwards: a
 * power cut can cost the newest metadata, never the trusted root.
 */
import { cp, readdir, readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { Readable } from 'node:stream'
import type { Fetcher, Updater } from 'tuf-js'
import { targetPath } from '../../config/wire.ts'
import { makeDirectoryDurably, writeFileDurably } from '../../runtime/base/durable-write.ts'
import { DunlinError, TrustError } from '../../runtime/base/errors.ts'
import { HubError, type HubHttps } from '../link/hub-https.ts'
import { MANIFEST_BYTES_MAX } from './manifest.ts'

export interface TufClientOptions {
  /** <dataDir>/tuf */
  readonly directory: string
  readonly https: HubHttps
  /** The first root the device trusts, from its enrolment. */
  readonly firstRoot: string
}

/** tuf-js builds whole URLs; only the path of one is used. */
const METADATA_URL = 'https://hub/device/v1/tuf'
const TARGETS_PATH = '/device/v1/targets'
/** Taken over in this order: what is newer never stands on something older that is missing. */
const FILES = ['root.json', 'timestamp.json', 'snapshot.json', 'targets.json']

export class TufClient {
  readonly #options: TufClientOptions

  constructor(options: TufClientOptions) {
    this.#options = options
  }

  /**
   * The exact text of the signed manifest. Throws TrustError 'version-unsigned' (the publisher never signed it), 'digest-mismatch',
   * 'tuf-rollback', 'tuf-expired', 'tuf-invalid', or the HTTPS error.
   */
  async fetchManifest(name: string, version: number, signal: AbortSignal): Promise<string> {
    const { directory } = this.#options
    const scratch = `${directory}.work`
    await this.#prepare(scratch)
    const fetcher = new HubFetcher(this.#options.https, signal)
    try {
      const { Updater } = await import('tuf-js')
      const updater = new Updater({ metadataDir: scratch, metadataBaseUrl: METADATA_URL, fetcher })
      const target = await this.#target(updater, fetcher, targetPath(name, version))
      if (!target) {
        throw new TrustError('version-unsigned', `Cannot deploy ${name} version ${version}: no publisher has signed it`, {
          hint: "deploy it with the publisher's keys; a hub cannot sign functions",
        })
      }
      const { length, hashes } = target
      const sha256 = hashes['sha256']
      if (!sha256 || length > MANIFEST_BYTES_MAX)
        throw new TrustError(
          'tuf-invalid',
          `Cannot take the manifest of ${name} version ${version}: ${length} bytes, SHA-256 ${sha256 ?? 'missing'}`,
        )
      const bytes = await fetcher.downloadBytes(`${TARGETS_PATH}/functions/${name}/${sha256}.${version}.json`, length)
      await target.verify(Readable.from([bytes])).catch((cause: unknown) => {
        throw new TrustError('digest-mismatch', `Cannot use the manifest of ${name} version ${version}: it is not the signed one`, {
          cause,
        })
      })
      return bytes.toString('utf8')
    } finally {
      await this.#takeOver(scratch)
    }
  }

  async #target(updater: Updater, fetcher: HubFetcher, target: string): ReturnType<Updater['getTargetInfo']> {
    try {
      await updater.refresh()
      return await updater.getTargetInfo(target)
    } catch (error) {
      // tuf-js wraps what the network did in errors of its own.
      throw fetcher.failure ?? asTrustError(error)
    }
  }

  async #prepare(scratch: string): Promise<void> {
    const { directory, firstRoot } = this.#options
    await makeDirectoryDurably(directory, 0o700)
    const known = await readdir(directory)
    if (!known.includes('root.json')) await writeFileDurably(path.join(directory, 'root.json'), firstRoot, 0o600)
    await rm(scratch, { recursive: true, force: true })
    await cp(directory, scratch, { recursive: true })
  }

  async #takeOver(scratch: string): Promise<void> {
    for (const file of FILES) {
      const [verified, known] = await Promise.all([
        readIfThere(path.join(scratch, file)),
        readIfThere(path.join(this.#options.directory, file)),
      ])
      if (verified && !(known && verified.equals(known))) await writeFileDurably(path.join(this.#options.directory, file), verified, 0o600)
    }
    await rm(scratch, { recursive: true, force: true })
  }
}

/** tuf-js' downloads over the device's own connection; remembers what went wrong, because tuf-js keeps only its text. */
class HubFetcher implements Fetcher {
  readonly #https: HubHttps
  readonly #signal: AbortSignal
  failure: unknown

  constructor(https: HubHttps, signal: AbortSignal) {
    this.#https = https
    this.#signal = signal
  }

  async downloadBytes(url: string, maxLength: number): Promise<Buffer> {
    try {
      return await this.#https.bytes(new URL(url, METADATA_URL).pathname, maxLength, { signal: this.#signal })
    } catch (error) {
      // How the walk along the root versions ends: there is no newer one.
      if (error instanceof HubError && error.status === 404 && url.endsWith('.root.json')) {
        const { DownloadHTTPError } = await import('tuf-js/dist/error.js')
        throw new DownloadHTTPError(error.message, error.status)
      }
      this.failure = error
      throw error
    }
  }

  downloadFile(): Promise<never> {
    return Promise.reject(new DunlinError('assertion-failed', 'Targets are fetched as bytes'))
  }
}

const CODES: Record<string, string> = {
  BadVersionError: 'tuf-rollback',
  EqualVersionError: 'tuf-rollback',
  ExpiredMetadataError: 'tuf-expired',
}

function asTrustError(error: unknown): TrustError {
  const text = error instanceof Error ? error.message : String(error)
  const className = error instanceof Error ? error.constructor.name : ''
  // Errors about snapshot and targets come wrapped; only their text is left.
  const code =
    CODES[className] ?? (/expired/.test(text) ? 'tuf-expired' : /less than current version/.test(text) ? 'tuf-rollback' : 'tuf-invalid')
  return new TrustError(code, `Cannot trust the hub's function metadata: ${text}`, { cause: error, retryable: true })
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
}

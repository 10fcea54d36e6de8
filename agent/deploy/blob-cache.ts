/**
 * The files of bundles by digest, in <dataDir>/blobs. A download that was cut off goes on where it ended (Range), and is hashed
 * whole before it gets its name: a part that somebody changed, or a splice of two files, is never taken. More bytes than the
 * manifest says are never read.
 */
import type { IncomingMessage } from 'node:http'
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import path from 'node:path'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { makeDirectoryDurably, syncDirectory } from '../../runtime/base/durable-write.ts'
import { codeOf, ResourceError, TrustError } from '../../runtime/base/errors.ts'
import { HubError, type HubHttps } from '../link/hub-https.ts'
import { digestOfFile } from './digest.ts'

export interface BlobFile {
  readonly sha256: string
  readonly size: number
}

export class BlobCache {
  readonly #directory: string
  readonly #https: HubHttps

  constructor(directory: string, https: HubHttps) {
    this.#directory = directory
    this.#https = https
  }

  open(): Promise<void> {
    return makeDirectoryDurably(this.#directory, 0o700)
  }

  pathOf(sha256: string): string {
    return path.join(this.#directory, sha256)
  }

  /** Whether the blob is there and is what its name says. */
  async isWhole(sha256: string): Promise<boolean> {
    return (await digestOfFile(this.pathOf(sha256))) === sha256
  }

  /** Throws TrustError 'digest-mismatch' or 'blob-too-long'; ResourceError or HubError when the hub could not give it. */
  async fetch(blob: BlobFile, signal: AbortSignal): Promise<void> {
    if (await this.isWhole(blob.sha256)) return
    const part = `${this.pathOf(blob.sha256)}.part`
    const wasResumed = await this.#download(blob, part, signal)
    if ((await digestOfFile(part)) !== blob.sha256) {
      await rm(part)
      // The first half may have been the bad one.
      if (wasResumed) return this.fetch(blob, signal)
      throw new TrustError('digest-mismatch', `Cannot use file ${blob.sha256} from the hub: its content is another`, {
        hint: 'the file on the hub is damaged or was changed; put it back and deploy a new version',
      })
    }
    await rename(part, this.pathOf(blob.sha256))
    await syncDirectory(this.#directory)
  }

  /** Removes what no bundle on disk needs. */
  async keepOnly(needed: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(this.#directory)) {
      if (!needed.has(name)) await rm(path.join(this.#directory, name), { force: true })
    }
  }

  /** Fills `part` up to the blob's size; true when it began with what was there. */
  async #download({ sha256, size }: BlobFile, part: string, signal: AbortSignal): Promise<boolean> {
    let from = await sizeOf(part)
    if (from > size) {
      await rm(part)
      from = 0
    }
    if (from === size && size > 0) return true
    const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-`, 'if-range': `"${sha256}"` } : {}
    let answer: IncomingMessage
    try {
      answer = await this.#https.open(`/device/v1/blobs/${sha256}`, { headers, signal })
    } catch (error) {
      if (error instanceof HubError && error.status === 416) await rm(part, { force: true })
      throw error
    }
    const isResumed = answer.statusCode === 206 && answer.headers['content-range']?.startsWith(`bytes ${from}-`) === true
    await writeBody(answer, part, isResumed ? from : 0, size, sha256)
    return isResumed
  }
}

async function writeBody(body: IncomingMessage, part: string, from: number, size: number, sha256: string): Promise<void> {
  const file = await open(part, from > 0 ? 'a' : 'w', 0o600)
  let length = from
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > size) throw new TrustError('blob-too-long', `Cannot use file ${sha256} from the hub: it has more than its ${size} bytes`)
      await file.writeFile(chunk)
      crashPoint('deploy:mid-fetch')
    }
    await file.sync()
  } catch (error) {
    body.destroy()
    if (error instanceof TrustError) {
      await rm(part, { force: true })
      throw error
    }
    throw lost(sha256, error)
  } finally {
    await file.close()
  }
  if (length < size) throw lost(sha256, new Error(`the connection ended after ${length} of ${size} bytes`))
}

/** The disk's errors stay as they are; anything else is the connection's. */
function lost(sha256: string, cause: unknown): Error {
  if (cause instanceof Error && /^E(NOSPC|DQUOT|IO|FBIG|ROFS|ACCES|MFILE)$/.test(codeOf(cause))) return cause
  return new ResourceError('hub-unreachable', `Lost the hub in the middle of file ${sha256}`, { cause, retryable: true })
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    (found) => found.size,
    () => 0,
  )
}

/**
 * Content-addressed files: `<folder>/ab/<sha256>`. A blob is there whole or not at all, also after a power cut, and its name is
 * computed from what was written, never believed. Names that are not 64 hex digits never reach the file system.
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { DIGEST_PATTERN } from '../../config/wire.ts'
import { makePrivateFolder, syncFolder, temporaryBeside, writeDurably } from '../../runtime/base/durable-file.ts'
import { InputError, TrustError, codeOf } from '../../runtime/base/errors.ts'

export class BlobStore {
  readonly #folder: string
  readonly bytesMax: number

  constructor(folder: string, options: { bytesMax: number }) {
    this.#folder = folder
    this.bytesMax = options.bytesMax
  }

  /** Makes the folder and removes what an earlier process left half written. */
  open(): void {
    makePrivateFolder(this.#folder)
    for (const part of readdirSync(this.#folder, { withFileTypes: true })) {
      if (!part.isDirectory()) continue
      for (const name of readdirSync(join(this.#folder, part.name))) {
        if (!DIGEST_PATTERN.test(name)) rmSync(join(this.#folder, part.name, name), { force: true })
      }
    }
  }

  /** Stores what `source` yields under `digest`; resolves with its size after it is fsynced. */
  async put(digest: string, source: Readable): Promise<number> {
    const path = this.#place(digest)
    const temporary = temporaryBeside(path)
    const file = await open(temporary, 'wx', 0o600)
    const hash = createHash('sha256')
    let size = 0
    try {
      try {
        // The source stays open after an early end: its sender still gets an answer.
        for await (const chunk of source.iterator({ destroyOnReturn: false })) {
          const bytes = chunk as Buffer
          size += bytes.length
          if (size > this.bytesMax) throw tooLarge(this.bytesMax)
          hash.update(bytes)
          await file.writeFile(bytes)
        }
        const found = hash.digest('hex')
        if (found !== digest) throw new TrustError('digest-mismatch', `Cannot store blob ${digest}: digest is ${found}`)
        await file.sync()
      } finally {
        await file.close()
      }
      renameSync(temporary, path)
    } catch (error) {
      rmSync(temporary, { force: true })
      throw error
    }
    syncFolder(join(path, '..'))
    return size
  }

  putText(text: string): string {
    const digest = createHash('sha256').update(text).digest('hex')
    const path = this.#place(digest)
    if (!existsSync(path)) writeDurably(path, text)
    return digest
  }

  /** undefined: there is no such blob. */
  size(digest: string): number | undefined {
    if (!DIGEST_PATTERN.test(digest)) return undefined
    try {
      return statSync(this.#path(digest)).size
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      throw error
    }
  }

  read(digest: string, range?: { first: number; last: number }): Readable {
    return createReadStream(this.#path(digest), range ? { start: range.first, end: range.last } : {})
  }

  readText(digest: string): string {
    return readFileSync(this.#path(digest), 'utf8')
  }

  #place(digest: string): string {
    if (!DIGEST_PATTERN.test(digest)) throw new InputError('digest-invalid', 'Cannot name a blob: expected a SHA-256 in lower-case hex')
    makePrivateFolder(join(this.#folder, digest.slice(0, 2)))
    return this.#path(digest)
  }

  #path(digest: string): string {
    return join(this.#folder, digest.slice(0, 2), digest)
  }
}

export function tooLarge(bytesMax: number): InputError {
  return new InputError('body-too-large', `Cannot take the body: more than ${bytesMax} bytes`)
}

/**
 * A folder of a function becomes a bundle: a manifest and the files it names. Nothing is packed; each file goes by its digest.
 * Files are read once, so that what was hashed is what is sent.
 */
import { createHash } from 'node:crypto'
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import * as v from 'valibot'
import { BundleManifest, WIRE_VERSION } from '../../config/wire.ts'
import { InputError } from '../../runtime/base/errors.ts'

const FILES_MAX = 4096
const BYTES_MAX = 256 * 1024 * 1024
/** What is never meant to be shipped. */
const SKIPPED = new Set(['.git', 'node_modules/.cache', '__pycache__', '.venv', '.DS_Store', '.dunlin'])
const SKIPPED_ENDINGS = /\.py[co]$/

export interface BundleFile {
  readonly path: string
  readonly sha256: string
  readonly content: Buffer
}

export interface Bundle {
  readonly manifest: BundleManifest
  /** The exact text that is signed and published. */
  readonly manifestText: string
  /** One per digest. */
  readonly files: readonly BundleFile[]
}

/** `config`: path of function.yaml in `folder`. Throws InputError on links, devices, and folders that are too large. */
export function readBundle(folder: string, options: { name: string; version: number; config?: string }): Bundle {
  const files: BundleFile[] = []
  const entries: Array<BundleManifest['files'][number]> = []
  let bytes = 0
  for (const path of walk(folder)) {
    const file = join(folder, path)
    const content = readFileSync(file)
    bytes += content.length
    if (entries.length >= FILES_MAX || bytes > BYTES_MAX)
      throw new InputError('bundle-too-large', `Cannot bundle ${folder}: more than ${FILES_MAX} files or ${BYTES_MAX} bytes`)
    const sha256 = createHash('sha256').update(content).digest('hex')
    entries.push({ path, size: content.length, sha256, executable: (lstatSync(file).mode & 0o111) !== 0 })
    if (!files.some((other) => other.sha256 === sha256)) files.push({ path, sha256, content })
  }
  const config = options.config ?? 'function.yaml'
  if (!entries.some(({ path }) => path === config)) throw new InputError('config-missing', `Cannot bundle ${folder}: there is no ${config}`)
  const manifest = v.parse(BundleManifest, { dunlin: WIRE_VERSION, name: options.name, version: options.version, files: entries, config })
  return { manifest, manifestText: JSON.stringify(manifest), files }
}

/** Paths of plain files, relative, forward slashes, in order. */
function walk(folder: string, at = folder): string[] {
  return readdirSync(at, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const file = join(at, entry.name)
      const path = relative(folder, file).split(sep).join('/')
      if (SKIPPED.has(entry.name) || SKIPPED.has(path) || SKIPPED_ENDINGS.test(entry.name)) return []
      if (entry.isDirectory()) return walk(folder, file)
      if (!entry.isFile())
        throw new InputError('bundle-not-plain', `Cannot bundle ${path}: it is no plain file`, {
          hint: 'Replace links by what they point to',
        })
      return [path]
    })
}

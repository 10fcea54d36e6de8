/**
 * A bundle's manifest as it came (signed, so its author is known) made safe to act on: it names the version it should, and every
 * path stays inside the bundle on every file system, also one that folds case or Unicode forms.
 */
import * as v from 'valibot'
import { BundleManifest } from '../../config/wire.ts'
import { TrustError } from '../../runtime/base/errors.ts'

export const MANIFEST_BYTES_MAX = 4 * 1024 * 1024
/** All files of one version together. */
export const BUNDLE_BYTES_MAX = 4 * 1024 ** 3

/** Throws TrustError 'manifest-invalid' with everything that is wrong. */
export function readManifest(text: string, name: string, version: number): BundleManifest {
  const parsed = v.safeParse(BundleManifest, parseJson(text))
  if (!parsed.success)
    throw invalid(
      name,
      version,
      parsed.issues.map((issue) => `${v.getDotPath(issue) ?? 'manifest'}: ${issue.message}`),
    )
  const manifest = parsed.output
  const problems = pathProblems(manifest.files.map((file) => file.path))
  if (manifest.name !== name || manifest.version !== version) problems.push(`it is of ${manifest.name} version ${manifest.version}`)
  if (!manifest.files.some((file) => file.path === manifest.config)) problems.push(`its config ${manifest.config} is not among its files`)
  const bytes = manifest.files.reduce((sum, file) => sum + file.size, 0)
  if (bytes > BUNDLE_BYTES_MAX) problems.push(`it has ${bytes} bytes, at most ${BUNDLE_BYTES_MAX}`)
  if (problems.length > 0) throw invalid(name, version, problems)
  return manifest
}

/** What is wrong with these paths as the files of one bundle. */
export function pathProblems(paths: readonly string[]): string[] {
  const problems: string[] = []
  const files = new Set<string>()
  const directories = new Set<string>()
  for (const path of paths) {
    const reason = unsafe(path)
    if (reason) problems.push(`path ${JSON.stringify(path)} ${reason}`)
    const folded = fold(path)
    if (files.has(folded)) problems.push(`path ${JSON.stringify(path)} is there twice, at least where case and Unicode forms do not count`)
    files.add(folded)
    const parts = folded.split('/')
    for (let i = 1; i < parts.length; i++) directories.add(parts.slice(0, i).join('/'))
  }
  for (const path of paths) if (directories.has(fold(path))) problems.push(`path ${JSON.stringify(path)} is a file and a directory`)
  return problems
}

const PART_BYTES_MAX = 255

function unsafe(path: string): string | undefined {
  if (path.startsWith('/')) return 'is absolute'
  if (path.includes('\\')) return 'has a backslash'
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(path)) return 'has a control character'
  if (!path.isWellFormed()) return 'is no well-formed Unicode'
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return `has the part ${JSON.stringify(part)}`
    if (Buffer.byteLength(part) > PART_BYTES_MAX) return 'has a name that is too long'
  }
  return undefined
}

function fold(path: string): string {
  return path.normalize('NFC').toLowerCase().normalize('NFC')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function invalid(name: string, version: number, problems: string[]): TrustError {
  return new TrustError('manifest-invalid', `Cannot use the manifest of ${name} version ${version}: ${problems.slice(0, 10).join('; ')}`)
}

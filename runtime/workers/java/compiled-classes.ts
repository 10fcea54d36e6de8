import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  utimesSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { FunctionError, codeOf } from '../../base/errors.ts'

const COMPILE_TIMEOUT_MS = 60_000
const OUTPUT_CHARACTERS_MAX = 4000

/** Compiled classes that are kept: those of the guest and of the functions that were used last. */
const KEPT_MAX = 32

/**
 * The folder of the classes that `sources` (paths below `directory`) compile to. It lies in a private cache under a name that is the hash of
 * what it was made from and by which compiler, and appears there whole: two who compile at once, or a kill in the middle, leave no half of it.
 */
export async function compiledClasses(
  what: string,
  directory: string,
  sources: readonly string[],
  options: readonly string[],
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([options, compilerVersion()]))
  for (const source of [...sources].sort()) hash.update(`\0${source}\0`).update(readFileSync(join(directory, source)))
  const cache = openCache()
  const classes = join(cache, `${what}-${hash.digest('hex').slice(0, 32)}`)
  if (existsSync(classes)) {
    // Used now: it is not among the oldest.
    const now = new Date()
    utimesSync(classes, now, now)
    return classes
  }
  const made = mkdtempSync(join(cache, 'making-'))
  try {
    await compile([
      '-nowarn',
      '--release',
      '17',
      '-encoding',
      'UTF-8',
      ...options,
      '-d',
      made,
      ...sources.map((source) => join(directory, source)),
    ])
    renameSync(made, classes)
    prune(cache)
  } catch (error) {
    rmSync(made, { recursive: true, force: true })
    // Another one was quicker.
    if (!existsSync(classes)) throw error
  }
  return classes
}

/** Another JDK compiles anew. Read from the JDK's own file: to ask javac costs as long as a JVM's start. Throws where there is none. */
function compilerVersion(): string {
  const wanted = process.env['DUNLIN_JAVAC'] ?? 'javac'
  const found = wanted.includes('/')
    ? wanted
    : (process.env['PATH'] ?? '')
        .split(delimiter)
        .map((folder) => join(folder, wanted))
        .find((file) => existsSync(file))
  if (found === undefined || !existsSync(found)) throw noCompiler()
  const javac = realpathSync(found)
  try {
    return readFileSync(join(javac, '../../release'), 'utf8')
  } catch {
    return `${javac} ${lstatSync(javac).mtimeMs}`
  }
}

function noCompiler(cause?: unknown): FunctionError {
  return new FunctionError('runtime-missing', 'Cannot compile Java sources: there is no javac', {
    cause,
    hint: 'put compiled .class or .jar files into the function, or install a JDK (>= 17), or name its javac in DUNLIN_JAVAC',
  })
}

async function compile(args: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)(process.env['DUNLIN_JAVAC'] ?? 'javac', args, { timeout: COMPILE_TIMEOUT_MS })
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw noCompiler(error)
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error)
    throw new FunctionError('compile-failed', `Cannot compile Java sources: ${output.slice(0, OUTPUT_CHARACTERS_MAX)}`, { cause: error })
  }
}

/** Those that no worker has started with for the longest go first; a JVM reads its classes late, so many more are kept than a device runs. */
function prune(cache: string): void {
  const found = readdirSync(cache)
    .map((name) => ({ path: join(cache, name), usedMs: lstatSync(join(cache, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
    .sort((a, b) => b.usedMs - a.usedMs)
  const left = Date.now() - LEFT_MS
  for (const [i, { path, usedMs }] of found.entries()) {
    const isHalf = basename(path).startsWith('making-')
    if (isHalf ? usedMs < left : i >= KEPT_MAX) rmSync(path, { recursive: true, force: true })
  }
}

/** What a compiler that was killed has left behind. */
const LEFT_MS = 2 * COMPILE_TIMEOUT_MS

/** A folder that only this user can write to: what lies in it is run. */
function openCache(): string {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? tmpdir(), `dunlin-java-${process.getuid?.()}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const { uid, mode } = lstatSync(folder)
  if (!lstatSync(folder).isDirectory() || uid !== process.getuid?.() || (mode & 0o077) !== 0) {
    throw new FunctionError('java-cache', `Cannot use ${folder} for compiled classes: others may write to it`, {
      hint: 'remove it, or name another folder in XDG_CACHE_HOME',
    })
  }
  return folder
}

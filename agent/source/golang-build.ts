/**
 * Makes a native library of Nuclio's Go handler, on the machine of its author: the handler's files, our shim beside them, and our
 * stand-ins for the two modules they are written against (runtime/native/go). A device gets the library and needs no Go.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { FunctionError, InputError, codeOf } from '../../runtime/base/errors.ts'

export const GO_LIBRARY = 'libhandler.so'
/** A first build compiles Go's own library: half a minute on a slow laptop. Modules may have to be fetched. */
const BUILD_TIMEOUT_MS = 600_000
/** Of a few MB each. */
const BUILDS_KEPT = 32
const OUTPUT_CHARACTERS_MAX = 4000
const OUTPUT_BYTES_MAX = 16 << 20

const NATIVE = fileURLToPath(new URL('../../runtime/native/', import.meta.url))
const SHIM = join(NATIVE, 'go/shim')
const MODULES = {
  'github.com/nuclio/nuclio-sdk-go': join(NATIVE, 'go/nuclio-sdk-go'),
  'github.com/nuclio/logger': join(NATIVE, 'go/logger'),
}
/** function.yaml says nothing that is built in. */
const SKIPPED = new Set(['function.yaml', 'function.yml', '.git', '.venv', '__pycache__', 'node_modules', 'vendor'])

export type Architecture = 'x64' | 'arm64'
export const ARCHITECTURES: readonly Architecture[] = ['x64', 'arm64']
const GOARCH: Readonly<Record<Architecture, string>> = { x64: 'amd64', arm64: 'arm64' }
const CROSS_COMPILER: Readonly<Record<Architecture, string>> = { x64: 'x86_64-linux-gnu-gcc', arm64: 'aarch64-linux-gnu-gcc' }

/** The path of the library, from a cache where it was made before. `handler`: `main:Handler`. */
export async function buildGoLibrary(folder: string, handler: string, architecture: Architecture): Promise<string> {
  const entry = entryFile(folder, handler)
  const go = process.env['DUNLIN_GO'] ?? 'go'
  const version = await run(go, ['env', 'GOVERSION'], folder, {})
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'dunlin', 'golang')
  const library = join(cache, keyOf(folder, [entry, version, architecture]), GO_LIBRARY)
  if (existsSync(library)) return library
  mkdirSync(cache, { recursive: true, mode: 0o700 })
  const made = mkdtempSync(join(cache, 'making-'))
  try {
    await build(go, folder, entry, architecture, made)
    mkdirSync(join(library, '..'), { recursive: true })
    renameSync(join(made, 'out', GO_LIBRARY), library)
    removeOldBuilds(cache)
    return library
  } finally {
    rmSync(made, { recursive: true, force: true })
  }
}

/** The newest stay, whatever was left over in the middle of a build included. */
function removeOldBuilds(cache: string): void {
  const ages = readdirSync(cache).map((name) => ({ path: join(cache, name), at: statSync(join(cache, name)).mtimeMs }))
  for (const { path } of ages.sort((a, b) => b.at - a.at).slice(BUILDS_KEPT)) rmSync(path, { recursive: true, force: true })
}

async function build(go: string, folder: string, entry: string, architecture: Architecture, made: string): Promise<void> {
  const sources = join(made, 'handler')
  cpSync(folder, sources, { recursive: true, filter: (source) => !SKIPPED.has(basename(source)) })
  for (const name of readdirSync(SHIM)) copyFileSync(join(SHIM, name), join(sources, name))
  copyFileSync(join(NATIVE, 'dunlin.h'), join(sources, 'dunlin.h'))
  writeFileSync(join(sources, 'zz_dunlin_entry.go'), entry)
  if (!existsSync(join(sources, 'go.mod'))) writeFileSync(join(sources, 'go.mod'), 'module handler\n\ngo 1.17\n')
  const replacements = Object.entries(MODULES).flatMap(([name, path]) => [`-replace=${name}=${path}`, `-require=${name}@v0.0.1`])
  await run(go, ['mod', 'edit', ...replacements], sources, {})
  const isCross = architecture !== process.arch
  await run(go, ['build', '-buildmode=c-shared', '-trimpath', '-ldflags=-s -w', '-o', join(made, 'out', GO_LIBRARY), '.'], sources, {
    CGO_ENABLED: '1',
    GOOS: 'linux',
    GOARCH: GOARCH[architecture],
    GOFLAGS: `${process.env['GOFLAGS'] ?? ''} -mod=mod`.trim(),
    ...(isCross ? { CC: process.env[`DUNLIN_CC_${architecture.toUpperCase()}`] ?? CROSS_COMPILER[architecture] } : {}),
  })
}

/** Names the handler to the shim; throws InputError where the folder has none. */
function entryFile(folder: string, handler: string): string {
  const name = handler.slice(handler.indexOf(':') + 1)
  const files = readdirSync(folder).filter((file) => file.endsWith('.go') && !file.endsWith('_test.go'))
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8'))
  const has = (pattern: string): boolean => texts.some((text) => new RegExp(`^func ${pattern}\\s*\\(`, 'm').test(text))
  if (files.length === 0) throw new InputError('golang-sources', `Cannot build ${folder}: it has no .go file`)
  if (!/^[A-Za-z_]\w*$/.test(name) || !has(name)) {
    throw new InputError('golang-handler', `Cannot find func ${name} in ${files.join(', ')}`, {
      hint: 'handler: main:Handler names func Handler(context *nuclio.Context, event nuclio.Event) (interface{}, error)',
    })
  }
  const foreign = texts.map((text) => /^package\s+(\w+)/m.exec(text)?.[1]).find((found) => found !== 'main')
  if (foreign !== undefined) throw new InputError('golang-package', `Cannot build ${folder}: its package is ${foreign}, expected main`)
  return `package main

import "github.com/nuclio/nuclio-sdk-go"

var dunlinUserHandler func(*nuclio.Context, nuclio.Event) (interface{}, error) = ${name}
var dunlinUserInit func(*nuclio.Context) error = ${has('InitContext') ? 'InitContext' : 'nil'}
${has('main') ? '' : '\nfunc main() {}\n'}`
}

/** What the library is made from. */
function keyOf(folder: string, parts: readonly string[]): string {
  const hash = createHash('sha256').update(JSON.stringify(parts))
  for (const root of [folder, ...Object.values(MODULES), SHIM]) {
    for (const file of filesOf(root)) hash.update(`\0${relative(root, file)}\0`).update(readFileSync(file))
  }
  hash.update(readFileSync(join(NATIVE, 'dunlin.h')))
  return hash.digest('hex').slice(0, 32)
}

function filesOf(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter(
      (path) =>
        !relative(folder, path)
          .split('/')
          .some((part) => SKIPPED.has(part)),
    )
    .sort()
}

async function run(go: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Promise<string> {
  try {
    const options = { cwd, env: { ...process.env, ...env }, timeout: BUILD_TIMEOUT_MS, maxBuffer: OUTPUT_BYTES_MAX }
    return (await promisify(execFile)(go, [...args], options)).stdout.trim()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new FunctionError('golang-missing', `Cannot build the Go function: there is no ${go}`, {
        hint: 'install Go 1.19 or newer and gcc (Debian: golang-go gcc), or name it in the environment variable DUNLIN_GO; devices need neither',
      })
    }
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error)
    const hint = /C compiler .* not found/.test(output)
      ? 'install gcc, or the cross compiler for that architecture (Debian: gcc-aarch64-linux-gnu)'
      : null
    throw new FunctionError('golang-build', `Cannot build the Go function: ${output.slice(0, OUTPUT_CHARACTERS_MAX)}`, hint ? { hint } : {})
  }
}

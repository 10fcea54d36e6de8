/** The rules of the source tree, as functions over made-up or real trees: who may import whom, no cycles, registries complete, packages declared. */
import { dirname, posix } from 'node:path'
import { isBuiltin } from 'node:module'
import { importsOf, type Import } from './imports.ts'

/** Path below the repository's root, with forward slashes, to text. */
export type Tree = ReadonlyMap<string, string>

/** What each part may import besides itself. `adapters/broker` allows the files below it, `adapters/export` also `adapters/exports/x.ts`. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  config: [],
  runtime: ['config'],
  adapters: ['runtime', 'config'],
  'firmware-profiles': ['config'],
  agent: ['config', 'runtime', 'adapters', 'firmware-profiles'],
  hub: ['config', 'adapters/broker', 'adapters/export', 'runtime/base', 'runtime/event'],
}
/** These may import everything. */
const FREE = ['test', 'bench', 'examples']
const SOURCE_FOLDERS = [...Object.keys(MAY_IMPORT), ...FREE]
/** Where packages of devDependencies may be used. */
const DEVELOPMENT = /^(test|bench)\/|^config\/write-json-schemas\.ts$|^ava\.config\.js$|^scripts\//
const IS_SOURCE = /\.(ts|js|mjs)$/

export const isSource = (file: string): boolean => IS_SOURCE.test(file) && SOURCE_FOLDERS.includes(file.split('/')[0]!)

interface Found extends Import {
  readonly from: string
  /** The file that is meant; null for packages. */
  readonly to: string | null
}

function importsOfTree(tree: Tree): Found[] {
  return [...tree]
    .filter(([file]) => isSource(file))
    .flatMap(([from, text]) => importsOf(text).map((found) => ({ ...found, from, to: resolved(from, found.specifier) })))
}

function resolved(from: string, specifier: string): string | null {
  return specifier.startsWith('.') ? posix.join(dirname(from), specifier) : null
}

/** Imports that the table does not allow; type imports count too. */
export function forbiddenImports(tree: Tree): string[] {
  return importsOfTree(tree).flatMap(({ from, to, line }) => {
    const part = from.split('/')[0]!
    if (to === null || FREE.includes(part)) return []
    const allowed = [`${part}/`, ...MAY_IMPORT[part]!.map((target) => (target === 'adapters/export' ? target : `${target}/`))]
    return allowed.some((prefix) => to.startsWith(prefix))
      ? []
      : [`${from}:${line} imports ${to}: ${part} may import ${MAY_IMPORT[part]!.join(', ') || 'nothing of ours'}`]
  })
}

/** Relative imports of files that are not there (types alone would not tell before the file is run). */
export function brokenImports(tree: Tree): string[] {
  return importsOfTree(tree).flatMap(({ from, to, line }) =>
    to === null || tree.has(to) ? [] : [`${from}:${line} imports ${to}: there is no such file`],
  )
}

/** Every import cycle that exists at run time, each once, as `a.ts -> b.ts -> a.ts`. Lazy imports do not count: they run later. */
export function cycles(tree: Tree): string[] {
  const edges = new Map<string, string[]>()
  for (const { from, to, typeOnly, dynamic } of importsOfTree(tree)) {
    if (to === null || typeOnly || dynamic) continue
    edges.set(from, [...(edges.get(from) ?? []), to])
  }
  const found = new Set<string>()
  const done = new Set<string>()
  const visit = (file: string, way: readonly string[]): void => {
    const start = way.indexOf(file)
    if (start >= 0) {
      found.add(cycleText(way.slice(start)))
    } else if (!done.has(file)) {
      for (const next of edges.get(file) ?? []) visit(next, [...way, file])
      done.add(file)
    }
  }
  for (const file of edges.keys()) visit(file, [])
  return [...found]
}

/** Begins with the alphabetically first file, so that a cycle has one name. */
function cycleText(files: readonly string[]): string {
  const first = files.indexOf(files.toSorted()[0]!)
  const ordered = [...files.slice(first), ...files.slice(0, first)]
  return [...ordered, ordered[0]].join(' -> ')
}

/**
 * Beside a registry.ts, every file is a kind that the registry imports lazily, or a part that other files import. A file that is
 * neither is a kind that somebody forgot to list. The registry imports no kind at once.
 */
export function registryFaults(tree: Tree): string[] {
  const imports = importsOfTree(tree)
  return [...tree.keys()].filter(isRegistry).flatMap((registry) => {
    const own = imports.filter(({ from }) => from === registry)
    const listed = new Set(own.filter(({ dynamic, typeOnly }) => dynamic && !typeOnly).map(({ to }) => to))
    const used = new Set(imports.filter(({ from, to }) => from !== to && !from.startsWith('test/')).map(({ to }) => to))
    const eager = own.filter(({ to, dynamic, typeOnly }) => !dynamic && !typeOnly && to?.startsWith(`${dirname(registry)}/`))
    return [
      ...(listed.size === 0 ? [`${registry} lists no kinds: each is one import() in it`] : []),
      ...eager.map(({ line, specifier }) => `${registry}:${line} imports ${specifier} at once: a kind is imported when it is used`),
      ...filesBeside(tree, registry)
        .filter((file) => !listed.has(file) && !used.has(file) && !isStartedByUrl(tree, file))
        .map((file) => `${registry} does not list ${file}, and nothing else imports it`),
    ]
  })
}

const isRegistry = (file: string): boolean => /^(runtime|adapters)\/.*\/registry\.ts$/.test(file)

function filesBeside(tree: Tree, registry: string): string[] {
  return [...tree.keys()].filter((file) => file !== registry && file.startsWith(`${dirname(registry)}/`) && /\.ts$/.test(file))
}

/** A worker thread's or child's main file is named in `ownModule(import.meta.url, './x')`, or with its extension in a URL. */
function isStartedByUrl(tree: Tree, file: string): boolean {
  const name = posix.basename(file)
  const stem = posix.basename(file, '.ts')
  return [...tree].some(
    ([other, text]) =>
      other !== file &&
      !other.startsWith('test/') &&
      (new RegExp(`['"\`/]${name.replaceAll('.', '\\.')}['"\`]`).test(text) || new RegExp(`ownModule\\([^)]*/${stem}'\\)`).test(text)) &&
      !isRegistry(other),
  )
}

export interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

/** Packages that are imported and not declared where they must be. */
export function undeclaredPackages(
  tree: Tree,
  { dependencies = {}, devDependencies = {}, optionalDependencies = {} }: PackageJson,
): string[] {
  return importsOfTree(tree).flatMap(({ from, line, specifier, to, typeOnly }) => {
    if (to !== null || isBuiltin(specifier)) return []
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/')
    if (Object.hasOwn(dependencies, name) || Object.hasOwn(optionalDependencies, name)) return []
    const isDevelopment = Object.hasOwn(devDependencies, name)
    if (isDevelopment && (typeOnly || DEVELOPMENT.test(from))) return []
    return [
      `${from}:${line} imports ${name}: ${isDevelopment ? 'it is a devDependency, and this file runs on devices' : 'package.json does not name it'}`,
    ]
  })
}

export function looseVersions(packageJson: PackageJson): string[] {
  return [packageJson.dependencies, packageJson.devDependencies, packageJson.optionalDependencies].flatMap((group) =>
    Object.entries(group ?? {}).flatMap(([name, version]) =>
      /^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version) ? [] : [`${name}: ${version} is no exact version`],
    ),
  )
}

// Put together, so that this file does not name what it looks for.
const REMINDER = new RegExp(`\\b(${['TO', 'FIX'].map((start, index) => start + ['DO', 'ME'][index]).join('|')})\\b`)

/** Things left for later belong into an issue. */
export function reminders(tree: Tree): string[] {
  return [...tree].flatMap(([file, text]) =>
    text.split('\n').flatMap((line, index) => (REMINDER.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  )
}

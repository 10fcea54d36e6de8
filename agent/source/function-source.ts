/**
 * A function as an author has it: a folder with function.yaml, or one handler file. It becomes a folder with function.yaml in it,
 * which can be run or bundled. What had to be made (the config of a bare file, the file of inline code) lies in a folder of its
 * own that `close` removes; the author's files are never changed.
 */
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, extname, join, resolve } from 'node:path'
import { parse, parseDocument, stringify } from 'yaml'
import { filledDocument, type DocumentDefaults } from '../../config/document-defaults.ts'
import { parseFunctionConfig, type FunctionConfig, type RuntimeKind } from '../../config/function-config.ts'
import { FUNCTION_NAME_PATTERN } from '../../config/wire.ts'
import { InputError } from '../../runtime/base/errors.ts'
import { writeInline } from './inline-code.ts'
import { inlineConfig } from './inline-config.ts'
import { openProcessorSource } from './processor-source.ts'

const CONFIG_NAMES = ['function.yaml', 'function.yml']
const RUNTIME_OF: Readonly<Record<string, RuntimeKind>> = {
  '.py': 'python',
  '.js': 'nodejs',
  '.mjs': 'nodejs',
  '.cjs': 'nodejs',
  '.ts': 'nodejs',
  '.mts': 'nodejs',
  '.java': 'java',
  '.go': 'golang',
  '.sh': 'shell',
}

export interface FunctionSource {
  readonly config: FunctionConfig
  readonly folder: string
  /** Of the config, inside `folder`. */
  readonly configName: string
  close(): void
}

/** Throws InputError 'source-missing' or 'source-unknown', and ConfigError with the place of every problem. */
export function openFunctionSource(path: string, options: { name?: string } = {}): FunctionSource {
  const { name } = options
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat)
    throw new InputError('source-missing', `Cannot find "${path}"`, { hint: 'name a folder with function.yaml in it, or a handler file' })
  if (name !== undefined && !FUNCTION_NAME_PATTERN.test(name)) {
    throw new InputError('usage', `Cannot use the function name "${name}": expected 1 to 63 of a-z, 0-9 and -`)
  }
  if (stat.isDirectory()) {
    const configName = CONFIG_NAMES.find((candidate) => existsSync(join(path, candidate)))
    return configName ? ofFolder(path, configName, name) : ofFolderWithInlineConfig(path, name)
  }
  if (CONFIG_NAMES.includes(basename(path))) return ofFolder(dirname(path), basename(path), name)
  if (['.yaml', '.yml'].includes(extname(path))) return openProcessorSource(path)
  return ofFile(path, name)
}

function ofFolder(folder: string, configName: string, name: string | undefined): FunctionSource {
  const file = join(folder, configName)
  const text = readFileSync(file, 'utf8')
  const config = parseFunctionConfig(text, file)
  const isRenamed = name !== undefined && name !== config.name
  if (!isRenamed && config.inlineSource === null) return { config, folder: resolve(folder), configName, close() {} }
  return made((copy) => {
    copyFolder(folder, copy)
    if (config.inlineSource !== null) writeInline(copy, config, config.inlineSource)
    const finalText = isRenamed ? renamed(text, name) : text
    writeFileSync(join(copy, configName), finalText)
    return { config: parseFunctionConfig(finalText, file), configName }
  })
}

function ofFile(path: string, name: string | undefined): FunctionSource {
  const runtime = RUNTIME_OF[extname(path)]
  if (!runtime) {
    throw new InputError('source-unknown', `Cannot tell the runtime of "${path}"`, {
      hint: `expected a folder, or a file that ends in ${Object.keys(RUNTIME_OF).join(', ')}`,
    })
  }
  const file = basename(path)
  const yaml = inlineConfig(readFileSync(path, 'utf8'), runtime)
  if (yaml !== null) return ofInline({ path, runtime, yaml, name }, (folder) => copyFileSync(path, join(folder, file)))
  const module = basename(path, extname(path))
  const text = derivedConfig(name ?? nameOf(module), runtime, handlerOf(runtime, file, module))
  return made((folder) => {
    copyFileSync(path, join(folder, file))
    if (runtime === 'shell') chmodSync(join(folder, file), 0o755)
    writeFileSync(join(folder, 'function.yaml'), text)
    return { config: parseFunctionConfig(text, 'function.yaml'), configName: 'function.yaml' }
  })
}

/** One of its handler files has the config in its comments. */
function ofFolderWithInlineConfig(folder: string, name: string | undefined): FunctionSource {
  const found = readdirSync(folder)
    .sort()
    .flatMap((file) => {
      const path = join(folder, file)
      const runtime = RUNTIME_OF[extname(file)]
      const yaml = runtime && statSync(path).isFile() ? inlineConfig(readFileSync(path, 'utf8'), runtime) : null
      return runtime && yaml !== null ? [{ path, runtime, yaml, name }] : []
    })
  if (found.length > 1) {
    const files = found.map(({ path }) => basename(path)).join(' and ')
    throw new InputError('source-unknown', `Cannot tell which config of "${folder}" counts: ${files} have an @nuclio.configure block`, {
      hint: 'name the file, or write function.yaml',
    })
  }
  const [inline] = found
  if (inline) return ofInline(inline, (copy) => copyFolder(folder, copy))
  throw new InputError('source-unknown', `Cannot find function.yaml in "${folder}"`, {
    hint: 'docs/functions.md shows one; a single .py, .ts, .js or .sh file needs none',
  })
}

interface Inline {
  /** Of the handler file: problems and notices are told with its lines. */
  readonly path: string
  readonly runtime: RuntimeKind
  readonly yaml: string
  readonly name: string | undefined
}

function ofInline({ path, runtime, yaml, name }: Inline, copy: (folder: string) => void): FunctionSource {
  const file = basename(path)
  const module = basename(path, extname(path))
  const defaults: DocumentDefaults = {
    metadata: { name: nameOf(module) },
    spec: { runtime, handler: handlerOf(runtime, file, module), triggers: { http: { kind: 'http' } } },
  }
  const config = parseFunctionConfig(yaml, path, defaults)
  return made((folder) => {
    copy(folder)
    if (runtime === 'shell') chmodSync(join(folder, file), 0o755)
    const text = stringify(filledDocument(parse(yaml), defaults))
    const finalText = name === undefined ? text : renamed(text, name)
    writeFileSync(join(folder, 'function.yaml'), finalText)
    const { notices } = config
    return { config: name === undefined ? config : { ...parseFunctionConfig(finalText, path), notices }, configName: 'function.yaml' }
  })
}

/** A program, a class, or a function of a module. */
function handlerOf(runtime: RuntimeKind, file: string, module: string): string {
  if (runtime === 'shell') return file
  if (runtime === 'golang') return 'main:Handler'
  return runtime === 'java' ? module : `${module}:handler`
}

/** What stands in for function.yaml beside a bare file: it answers HTTP at /<name>. */
export function derivedConfig(name: string, runtime: RuntimeKind, handler: string): string {
  return `apiVersion: dunlin/v1
kind: Function
metadata:
  name: ${name}
spec:
  runtime: ${runtime}
  handler: ${JSON.stringify(handler)}
  triggers:
    http:
      kind: http
`
}

/** `My_Func` to `my-func`. */
export function nameOf(module: string): string {
  const name = module
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return name || 'function'
}

function copyFolder(folder: string, copy: string): void {
  cpSync(folder, copy, {
    recursive: true,
    filter: (source) => !['.git', 'node_modules/.cache', '__pycache__', '.venv'].includes(basename(source)),
  })
}

function renamed(text: string, name: string): string {
  const document = parseDocument(text)
  document.setIn(['metadata', 'name'], name)
  return document.toString()
}

function made(fill: (folder: string) => { config: FunctionConfig; configName: string }): FunctionSource {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-source-'))
  const close = () => rmSync(folder, { recursive: true, force: true })
  try {
    return { ...fill(folder), folder, close }
  } catch (error) {
    close()
    throw error
  }
}

/** A function in a language that is built before it runs: what goes to a device, or is run here, is the folder with the result. */
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { parseDocument } from 'yaml'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { FunctionSource } from './function-source.ts'
import { ARCHITECTURES, GO_LIBRARY, buildGoLibrary, type Architecture } from './golang-build.ts'

/** Takes the source over: it is closed when the result is, or when the build fails. */
export async function built(source: FunctionSource): Promise<FunctionSource> {
  if (source.config.runtime === 'native') return withLibrary(source)
  if (source.config.runtime !== 'golang') return source
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-built-'))
  const close = (): void => {
    rmSync(folder, { recursive: true, force: true })
    source.close()
  }
  try {
    const { config, configName } = source
    const architectures = (config.runtimeAttributes['architectures'] as Architecture[] | undefined) ?? [process.arch as Architecture]
    cpSync(source.folder, folder, { recursive: true, filter: (path) => !isGo(path) })
    for (const architecture of architectures) {
      const target = join(folder, architecture, GO_LIBRARY)
      mkdirSync(dirname(target), { recursive: true })
      copyFileSync(await buildGoLibrary(source.folder, config.handler, architecture), target)
    }
    const file = join(folder, configName)
    const text = asNative(readFileSync(join(source.folder, configName), 'utf8'))
    writeFileSync(file, text)
    return { config: parseFunctionConfig(text, file), folder, configName, close }
  } catch (error) {
    close()
    throw error
  }
}

/** A library that was not built yet is noticed here, and not on a device. */
function withLibrary(source: FunctionSource): FunctionSource {
  const [file] = source.config.handler.split(':')
  if (['', ...ARCHITECTURES].some((folder) => existsSync(join(source.folder, folder, file!)))) return source
  source.close()
  throw new InputError('library-missing', `Cannot find ${file} in ${source.folder}`, { hint: 'build it first: make' })
}

function isGo(path: string): boolean {
  return /\.go$|^(go\.mod|go\.sum|vendor|\.git)$/.test(basename(path))
}

const ONLY_OF_SOURCES = [
  ['spec', 'runtimeAttributes', 'architectures'],
  ['spec', 'build', 'functionSourceCode'],
] as const

function asNative(text: string): string {
  const document = parseDocument(text)
  document.setIn(['spec', 'runtime'], 'native')
  document.setIn(['spec', 'handler'], GO_LIBRARY)
  for (const path of ONLY_OF_SOURCES) if (document.hasIn(path)) document.deleteIn(path)
  return document.toString()
}

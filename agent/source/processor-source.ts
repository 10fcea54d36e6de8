/**
 * Nuclio's processor.yaml: a function config that stands alone. The code lies in the folder or file that `spec.build.path` names,
 * else beside the config. It is the only function of its processor, so its http triggers answer every path, as Nuclio's do.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parse, stringify } from 'yaml'
import { filledDocument, missingParts } from '../../config/document-defaults.ts'
import { parseFunctionConfig, type FunctionConfig, type TriggerConfig } from '../../config/function-config.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { FunctionSource } from './function-source.ts'
import { writeInline } from './inline-code.ts'

const DEFAULTS = { metadata: { name: 'processor' }, spec: { triggers: { http: { kind: 'http' } } } }

/** Throws InputError 'source-missing', and ConfigError with the place of every problem. */
export function openProcessorSource(file: string): FunctionSource {
  const text = readFileSync(file, 'utf8')
  const config = answeringEverywhere(parseFunctionConfig(text, file, DEFAULTS))
  const code = config.inlineSource === null ? codePath(text, file) : ''
  const isWhole = Object.values(missingParts(DEFAULTS, parse(text))).every((part) => Object.keys(part as object).length === 0)
  if (isWhole && code === dirname(resolve(file))) return { config, folder: code, configName: basename(file), close() {} }
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-source-'))
  const close = (): void => rmSync(folder, { recursive: true, force: true })
  try {
    if (config.inlineSource !== null) writeInline(folder, config, config.inlineSource)
    else cpSync(code, statSync(code).isDirectory() ? folder : join(folder, basename(code)), { recursive: true })
    writeFileSync(join(folder, 'function.yaml'), stringify(filledDocument(parse(text), DEFAULTS)))
  } catch (error) {
    close()
    throw error
  }
  return {
    config: { ...config, notices: config.notices.filter((notice) => !notice.includes(' spec.build.path ')) },
    folder,
    configName: 'function.yaml',
    close,
  }
}

function codePath(text: string, file: string): string {
  const document = parse(text) as { spec?: { build?: { path?: unknown } } } | null
  const path = document?.spec?.build?.path
  const beside = dirname(resolve(file))
  if (typeof path !== 'string' || path === '') return beside
  const found = resolve(beside, path)
  if (statSync(found, { throwIfNoEntry: false })) return found
  throw new InputError('source-missing', `Cannot find the code of ${file}: spec.build.path is "${path}"`, {
    hint: 'name a folder or file of this machine, from the folder of the config; or leave it out when the code lies beside it',
  })
}

function answeringEverywhere(config: FunctionConfig): FunctionConfig {
  const widened = (trigger: TriggerConfig): TriggerConfig => {
    if (trigger.kind !== 'http' || trigger.server !== null) return trigger
    return trigger.paths.length === 1 && trigger.paths[0] === `/${config.name}` ? { ...trigger, paths: ['/'] } : trigger
  }
  return { ...config, triggers: config.triggers.map(widened) }
}

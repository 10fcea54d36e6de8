/** Functions to begin with: examples/templates, where NAME stands for the function's name. */
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { FUNCTION_NAME_PATTERN } from '../../config/wire.ts'
import { guess } from '../../config/guess.ts'
import { InputError } from '../../runtime/base/errors.ts'
import { nameOf } from './function-source.ts'

const FOLDER = fileURLToPath(new URL('../../examples/templates/', import.meta.url))

/** Name to what it is. */
export function templates(): Readonly<Record<string, string>> {
  return parse(readFileSync(join(FOLDER, 'templates.yaml'), 'utf8')) as Record<string, string>
}

export interface NewFunction {
  readonly name: string
  readonly folder: string
  /** Of the folder. */
  readonly files: readonly string[]
}

/** Throws InputError 'template-unknown', 'usage', or 'folder-taken': a folder with something in it is never written to. */
export function createFromTemplate(template: string, folder: string, givenName?: string): NewFunction {
  const known = Object.keys(templates())
  if (!known.includes(template)) {
    const meant = guess(template, known)
    throw new InputError('template-unknown', `Cannot find a template "${template}"`, {
      hint: meant ? `did you mean "${meant}"?` : `there are ${known.join(', ')}`,
    })
  }
  const name = givenName ?? nameOf(basename(resolve(folder)))
  if (!FUNCTION_NAME_PATTERN.test(name)) {
    throw new InputError('usage', `Cannot use the function name "${name}": expected 1 to 63 of a-z, 0-9 and -`)
  }
  if (existsSync(folder) && (!statSync(folder).isDirectory() || readdirSync(folder).length > 0)) {
    throw new InputError('folder-taken', `Cannot write to "${folder}": something is there already`, { hint: 'name another folder' })
  }
  mkdirSync(folder, { recursive: true })
  cpSync(join(FOLDER, template), folder, { recursive: true })
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => statSync(join(folder, file)).isFile())
  for (const file of files) {
    const path = join(folder, file)
    // A package's files may have lost their mode.
    if (file.endsWith('.sh')) chmodSync(path, 0o755)
    const text = readFileSync(path, 'utf8')
    if (text.includes('NAME')) writeFileSync(path, text.replaceAll(/\bNAME\b/g, name))
  }
  return { name, folder, files: files.toSorted() }
}

import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { FunctionError } from '../../base/errors.ts'

/** What to run, and the arguments that come before the function's own. */
export interface Program {
  readonly command: string
  readonly args: readonly string[]
  /** A file of the bundle: what comes behind it is its own arguments, and no options of an interpreter. */
  readonly isOwnFile: boolean
}

/** Linux reads no more of a "#!" line. */
const SHEBANG_BYTES_MAX = 255

/**
 * A file of the bundle, else a name on the PATH. A script need not be executable: Nuclio gives it to `sh`; here its "#!" line is heard.
 * Nuclio also writes `file:main`, where the part behind the colon says nothing.
 */
export function findProgram(handler: string, directory: string): Program {
  for (const name of [handler, handler.split(':')[0]!]) {
    const file = resolve(directory, name)
    if (!file.startsWith(resolve(directory) + sep) || !isFile(file)) continue
    return isExecutable(file) ? { command: file, args: [], isOwnFile: true } : scriptProgram(file, name)
  }
  if (!handler.includes('/')) return { command: handler, args: [], isOwnFile: false }
  throw new FunctionError('handler-not-found', `Cannot find the program "${handler}" in the bundle`)
}

function scriptProgram(file: string, name: string): Program {
  const first = firstBytes(file)
  if (first.includes('\0')) {
    throw new FunctionError('handler-not-executable', `Cannot run "${name}": it is no script and not executable`, {
      hint: `chmod +x ${name}`,
    })
  }
  const [, interpreter, argument] = /^#!\s*(\S+)(?:[ \t]+(\S.*?))?\s*(?:\n|$)/.exec(first) ?? []
  if (interpreter === undefined) return { command: '/bin/sh', args: [file], isOwnFile: true }
  return { command: interpreter, args: argument === undefined ? [file] : [argument, file], isOwnFile: true }
}

function firstBytes(file: string): string {
  const fd = openSync(file, 'r')
  try {
    const bytes = Buffer.alloc(SHEBANG_BYTES_MAX)
    return bytes.toString('latin1', 0, readSync(fd, bytes, 0, SHEBANG_BYTES_MAX, 0))
  } finally {
    closeSync(fd)
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

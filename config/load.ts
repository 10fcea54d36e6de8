/** What agent.yaml and hub.yaml have in common: read, lay the command line over it, check, resolve paths. */
import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type * as v from 'valibot'
import { Checker } from './check.ts'
import { ConfigError } from './config-error.ts'
import { Problems } from './problems.ts'
import { CONFIG_BYTES_MAX, type Path, YamlSource } from './yaml-source.ts'

/** A part of a document: what the command line sets. */
export type Overrides<T> = {
  readonly [K in keyof T]?: T[K] extends readonly unknown[] ? T[K] : T[K] extends object | undefined ? Overrides<NonNullable<T[K]>> : T[K]
}

const COMMAND_LINE = 'command line'

export interface Checked<T> {
  readonly document: T
  readonly checker: Checker
  /** An absolute path: what a file says is relative to its folder, what the command line says to the working directory. */
  readonly absolute: (path: Path, given: string) => string
}

/** `finish` may add problems of its own; all are thrown together. */
export function parseDocument<const S extends v.GenericSchema, T>(
  schema: S,
  text: string,
  file: string,
  overrides: unknown,
  finish: (checked: Checked<v.InferOutput<S>>) => T,
): T {
  const problems = new Problems(file)
  const source = YamlSource.parse(text, problems)
  problems.throwIfAny()
  const checker = new Checker(source!, problems, { name: COMMAND_LINE, value: overrides })
  const document = checker.check(schema)
  problems.throwIfAny()
  const absolute = (path: Path, given: string): string => resolve(checker.isOverlaid(path) ? '.' : dirname(file), given)
  const result = finish({ document: document!, checker, absolute })
  problems.throwIfAny()
  return result
}

/** The text of a config file; for no file the empty text, so that defaults hold. */
export async function readConfigText(file: string | null): Promise<string> {
  if (file === null) return ''
  try {
    await using handle = await open(file)
    // One byte more than allowed is enough to know; /dev/zero must not fill the memory.
    const buffer = Buffer.alloc(CONFIG_BYTES_MAX + 1)
    let length = 0
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length)
      length += bytesRead
      if (bytesRead === 0 || length === buffer.length) return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, length))
    }
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
    const message = reason === 'ENOENT' ? 'expected a file, got nothing' : `cannot be read: ${reason}`
    throw new ConfigError([{ file, line: 0, column: 0, path: '', message, hint: null }], { cause })
  }
}

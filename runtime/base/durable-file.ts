/**
 * Files that are whole or not there, also after a power cut: written beside their place, fsynced, renamed, and the folder fsynced.
 * Everything made here is private (0600, folders 0700) unless said otherwise.
 */
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import { TrustError, codeOf } from './errors.ts'

export function writeDurably(path: string, content: string | Uint8Array, mode = 0o600): void {
  const temporary = temporaryBeside(path)
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  const file = openSync(temporary, 'wx', mode)
  try {
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
  syncFolder(dirname(path))
}

export function temporaryBeside(path: string): string {
  return join(dirname(path), `.new-${randomBytes(9).toString('hex')}`)
}

/** Makes the names in a folder durable. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Makes a folder and those above it that are missing; their names are durable on return. */
export function makePrivateFolder(path: string): void {
  const folder = resolve(path)
  if (existsSync(folder)) return
  // One by one: Node's recursive mkdir never ends where a file system refuses new names with ENOENT (/proc).
  makePrivateFolder(dirname(folder))
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  syncFolder(dirname(folder))
}

export function readFileIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Reads a secret; refuses one that others may read. */
export function readPrivateFile(path: string): string | undefined {
  const text = readFileIfThere(path)
  if (text !== undefined && (statSync(path).mode & 0o077) !== 0) {
    throw new TrustError('secret-not-private', `Cannot use ${path}: others may read it`, { hint: `chmod 600 ${path}` })
  }
  return text
}

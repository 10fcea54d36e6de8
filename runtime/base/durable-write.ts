/**
 * durable-file.ts without blocking: for what is written while events flow. An SD card's fsync can take half a second, and the
 * event loop must not wait for it. Same promise: the old content or the new, never a part of one, also after a power cut.
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { codeOf } from './errors.ts'

/** Resolves when `data` is at `file` for good. The directory must exist. */
export async function writeFileDurably(file: string, data: string | Uint8Array, mode = 0o644): Promise<void> {
  const temporary = `${file}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const handle = await open(temporary, 'wx', mode)
    try {
      await handle.writeFile(data)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(path.dirname(file))
}

/** Makes the names in a directory (new, renamed, removed) durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Makes `directory` and every missing parent, each name durable. */
export async function makeDirectoryDurably(directory: string, mode = 0o755): Promise<void> {
  const folder = path.resolve(directory)
  if (existsSync(folder)) return
  await makeDirectoryDurably(path.dirname(folder), mode)
  try {
    await mkdir(folder, { mode })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
  }
  await syncDirectory(path.dirname(folder))
}

import type { Stats } from 'node:fs'
import { lstat } from 'node:fs/promises'
import { codeOf } from '../../runtime/base/errors.ts'

/** What tells one content of a file from another: a change shows in size or time, another file in its place in the inode. */
export function signatureOf({ ino, size, mtimeMs }: Pick<Stats, 'ino' | 'size' | 'mtimeMs'>): string {
  return `${ino}:${size}:${mtimeMs}`
}

/** null: there is nothing of that name. Links are not followed. Rejects when that cannot be told. */
export async function look(file: string): Promise<Stats | null> {
  try {
    return await lstat(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null
    throw error
  }
}

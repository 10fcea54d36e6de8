import { constants, type Stats } from 'node:fs'
import { open, realpath } from 'node:fs/promises'
import { signatureOf } from './file-facts.ts'

/** What came of reading: the content, or why there is none now. */
export type FileRead = { readonly body: Buffer } | 'changed' | 'outside'

/**
 * Reads a file that is `seen`, whole: one that changes meanwhile is 'changed'. A file that a link in its path leads out of
 * `root` to is 'outside'. Never waits on a pipe. Rejects with EACCES, EIO, ...
 */
export async function readWhole(file: string, seen: Stats, root: string): Promise<FileRead> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const real = await realpath(file)
    if (!real.startsWith(`${await realpath(root)}/`)) return 'outside'
    const before = await handle.stat()
    if (!before.isFile() || signatureOf(before) !== signatureOf(seen)) return 'changed'
    const body = Buffer.allocUnsafe(before.size)
    let at = 0
    while (at < body.length) {
      const { bytesRead } = await handle.read(body, at, body.length - at, at)
      if (bytesRead === 0) return 'changed'
      at += bytesRead
    }
    return signatureOf(await handle.stat()) === signatureOf(seen) ? { body } : 'changed'
  } finally {
    await handle.close()
  }
}

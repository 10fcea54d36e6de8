import Database from 'better-sqlite3'
import { ResourceError, codeOf } from '../../runtime/base/errors.ts'

/** One hub per data directory: holds an exclusive lock that the kernel drops when the process ends, however it ends. */
export function lockInstance(path: string): () => void {
  const lock = new Database(path, { timeout: 0 })
  try {
    lock.pragma('journal_mode = MEMORY')
    lock.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    lock.close()
    if (codeOf(cause) !== 'SQLITE_BUSY') throw cause
    throw new ResourceError('data-dir-in-use', `Cannot start: another hub uses this data directory (${path})`, {
      cause,
      hint: 'Stop it, or choose another dataDir',
    })
  }
  return () => lock.close()
}

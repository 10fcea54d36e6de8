import fs from 'node:fs'
import path from 'node:path'
import Database from 'better-sqlite3'
import { ResourceError } from '../base/errors.ts'
import { LOCK_WAIT_MS } from './limits.ts'
import { isBusy } from './store-errors.ts'

/**
 * One owner per data directory. The lock is an exclusive transaction, held open, on a small SQLite file of its own: SQLite
 * takes it with fcntl, so the kernel lets go when the process dies, however it dies, and SQLite also sees a second owner
 * within the same process (a bare fcntl lock would not). No file needs cleaning up. owner.pid is only for the message.
 */
export function lockDataDir(dataDir: string): { release(): void } {
  const pidFile = path.join(dataDir, 'owner.pid')
  const db = new Database(path.join(dataDir, 'lock.db'), { timeout: LOCK_WAIT_MS })
  try {
    db.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    db.close()
    if (!isBusy(error)) throw error
    const holder = readPid(pidFile)
    throw new ResourceError(
      'data-dir-locked',
      `Cannot open data directory "${dataDir}": ${holder ? `process ${holder}` : 'another process'} holds it`,
      {
        hint: 'Stop the other agent, or give this one a data directory of its own',
      },
    )
  }
  try {
    fs.writeFileSync(pidFile, `${process.pid}\n`)
  } catch {
    // A full or read-only disk: the lock holds all the same, only its message is poorer.
  }
  return { release: () => db.close() }
}

function readPid(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8').trim()
  } catch {
    return ''
  }
}

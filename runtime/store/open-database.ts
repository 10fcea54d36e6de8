import fs from 'node:fs'
import path from 'node:path'
import type { Database } from 'better-sqlite3'
import { createDraft, openDatabase, paths, syncDir, writeFileDurably } from './database.ts'
import { inspect } from './inspect.ts'
import type { Finding } from './inspect.ts'
import type { Damage, OpenReport } from './messages.ts'
import { salvage } from './salvage.ts'

/**
 * Opens the data directory's database, makes the first one, or replaces a damaged one. The replacement is made complete
 * beside it (queue.db.new -> queue.db.ready), then the damaged files are moved aside, then it takes their place: a power cut
 * anywhere in between is finished by the next open. Nothing is deleted.
 */
export function openOrRecover(dataDir: string, maxPages: number, now: Date = new Date()): { db: Database; report: OpenReport } {
  const p = paths(dataDir)
  let damage: Damage | null = null
  let created = false
  if (fs.existsSync(p.ready)) {
    damage = swapIn(dataDir, { state: 'corrupt', reason: 'a replacement was ready when the last start ended' }, null, now)
  } else {
    const finding = inspect(dataDir)
    if (finding.state !== 'sound') {
      created = true
      damage = replace(dataDir, finding, now)
    }
  }
  const db = openDatabase(p.db, maxPages)
  try {
    const epoch = db.prepare("SELECT value FROM meta WHERE key = 'epoch'").pluck().get() as string
    if (readText(p.epoch) !== epoch) writeFileDurably(p.epoch, epoch)
    fs.rmSync(p.suspect, { force: true })
    return { db, report: { epoch, created, damage } }
  } catch (error) {
    db.close()
    throw error
  }
}

function replace(dataDir: string, finding: Exclude<Finding, { state: 'sound' }>, now: Date): Damage | null {
  const p = paths(dataDir)
  const draft = createDraft(p.draft)
  let result
  try {
    result = finding.state === 'corrupt' ? salvage(p.db, draft) : null
  } finally {
    draft.close()
  }
  fs.renameSync(p.draft, p.ready)
  syncDir(dataDir)
  return swapIn(dataDir, finding, result, now)
}

function swapIn(
  dataDir: string,
  finding: Exclude<Finding, { state: 'sound' }>,
  result: ReturnType<typeof salvage> | null,
  now: Date,
): Damage | null {
  const p = paths(dataDir)
  const previousEpoch = readText(p.epoch)
  const keptAs = moveAside(p.db, now)
  fs.renameSync(p.ready, p.db)
  syncDir(dataDir)
  if (finding.state === 'none') return null
  return {
    what: finding.state,
    reason: finding.reason,
    keptAs,
    previousEpoch,
    salvaged: result?.salvaged ?? { inbox: 0, streams: 0, deadLetters: 0, state: 0, values: 0 },
    lost: result?.lost ?? null,
  }
}

/** The -wal and -shm go with it: a WAL left beside a new database would be replayed into it. */
function moveAside(file: string, now: Date): string | null {
  const stamp = now.toISOString().replaceAll(/[-:.]/g, '')
  let aside = `${file}.corrupt-${stamp}`
  for (let n = 2; fs.existsSync(aside); n++) aside = `${file}.corrupt-${stamp}-${n}`
  let moved = false
  for (const suffix of ['-shm', '-wal', '']) {
    if (!fs.existsSync(file + suffix)) continue
    fs.renameSync(file + suffix, aside + suffix)
    moved = true
  }
  syncDir(path.dirname(file))
  return moved ? aside : null
}

function readText(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

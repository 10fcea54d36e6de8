/** What becomes of a file whose event is stored: moved into a folder, or removed. Never a file that changed meanwhile, never over another one. */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { copyFile, link, open, rename, rm, unlink, utimes } from 'node:fs/promises'
import path from 'node:path'
import { codeOf, ResourceError } from '../../runtime/base/errors.ts'
import { makeDirectoryDurably, syncDirectory } from '../../runtime/base/durable-write.ts'
import { look, signatureOf } from './file-facts.ts'

/** Files of one name in the target folder: a.csv, a-1.csv, a-2.csv, ... */
const SAME_NAME_MAX = 10_000
/** File systems without hard links (FAT on a stick), or that allow none to somebody else's file. */
const NO_LINKS: readonly string[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EACCES']

/** False: the file is not the one that was given, and was left alone. */
export async function removeGiven(file: string, signature: string): Promise<boolean> {
  if (!(await isStill(file, signature))) return false
  await unlink(file)
  return true
}

/** The target is whole as soon as it is there: a second name of the file, or a copy that is synced and renamed. False: the file is not the one that was given. */
export async function moveGiven(file: string, signature: string, folder: string): Promise<boolean> {
  await makeDirectoryDurably(folder)
  const { name, ext } = path.parse(file)
  for (let n = 0; n < SAME_NAME_MAX; n++) {
    if (!(await isStill(file, signature))) return false
    const target = path.join(folder, n === 0 ? name + ext : `${name}-${n}${ext}`)
    if (await moveTo(file, target)) return true
  }
  throw new ResourceError('file-names', `Cannot move ${file} to ${folder}: it has ${SAME_NAME_MAX} files of that name`, {
    hint: 'empty the folder',
  })
}

async function isStill(file: string, signature: string): Promise<boolean> {
  const now = await look(file)
  return now !== null && signatureOf(now) === signature
}

/** False: `target` is taken. A hard link is the one call that never replaces what is there. */
async function moveTo(file: string, target: string): Promise<boolean> {
  try {
    await link(file, target)
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST') return finishMove(file, target)
    if (code === 'EXDEV') return copyTo(file, target)
    if (!NO_LINKS.includes(code)) throw error
    if (await look(target)) return false
    await rename(file, target)
    return true
  }
  await unlink(file)
  return true
}

/** A move that was broken off left both names of one file. */
async function finishMove(file: string, target: string): Promise<boolean> {
  const [from, to] = [await look(file), await look(target)]
  if (!from || !to || from.ino !== to.ino || from.dev !== to.dev) return false
  await unlink(file)
  return true
}

async function copyTo(file: string, target: string): Promise<boolean> {
  if (await look(target)) return false
  const part = path.join(path.dirname(target), `.${randomBytes(6).toString('hex')}.part`)
  try {
    const before = await look(file)
    await copyFile(file, part, constants.COPYFILE_EXCL)
    if (!before || !(await isStill(file, signatureOf(before)))) return false
    await utimes(part, before.atime, before.mtime)
    const handle = await open(part, 'r+')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
    if (await look(target)) return false
    await rename(part, target)
  } finally {
    await rm(part, { force: true })
  }
  await syncDirectory(path.dirname(target))
  await unlink(file)
  return true
}

/** Makes moves and removals last: after a power cut, too, the names are where they were put. */
export async function syncFolders(folders: Iterable<string>): Promise<void> {
  for (const folder of new Set(folders)) {
    try {
      await syncDirectory(folder)
    } catch (error) {
      // A folder that has gone has nothing to keep.
      if (codeOf(error) !== 'ENOENT') throw error
    }
  }
}

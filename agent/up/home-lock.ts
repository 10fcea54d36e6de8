/** One `dunlin up` per home. The kernel lets the lock go when the process ends, however it ends. */
import { codeOf, ResourceError } from '../../runtime/base/errors.ts'
import { lockDataDir } from '../../runtime/store/lock.ts'
import { join } from 'node:path'
import { makePrivateFolder, readFileIfThere } from '../../runtime/base/durable-file.ts'

export function lockHome(home: string): { release(): void } {
  const folder = join(home, 'run')
  makePrivateFolder(folder)
  try {
    return lockDataDir(folder)
  } catch (error) {
    if (codeOf(error) !== 'data-dir-locked') throw error
    const pid = readFileIfThere(join(folder, 'owner.pid'))?.trim()
    throw new ResourceError('home-in-use', `Cannot start: ${home} is in use${pid ? ` by "dunlin up", process ${pid}` : ''}`, {
      hint: '"dunlin status" shows it; use another home with --home to run a second one',
    })
  }
}

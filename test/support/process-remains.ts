/** What this process holds, and what it has left behind: memory, files, children, shared memory, control groups. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cgroupTrees } from '../../runtime/workers/cgroup.ts'
import { collectGarbage } from './collect-garbage.ts'

/** Resident memory after everything that can be collected was. */
export function settledRssBytes(): number {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().rss
}

export const openFiles = (): number => readdirSync('/proc/self/fd').length

/** Processes, wherever they are in the tree, that have `variable` in their environment, without those that ended and wait for their parent. */
export function processesWith(variable: string): string[] {
  const found: string[] = []
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const environment = textOf(`/proc/${pid}/environ`)
    if (environment.split('\0').some((entry) => entry.startsWith(`${variable}=`))) {
      found.push(`${pid} ${textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 100)}`)
    }
  }
  return found
}

/** Children that ended and were never waited for. */
export function zombies(): string[] {
  const children = textOf(`/proc/self/task/${process.pid}/children`).trim().split(' ')
  return children.filter((pid) => pid !== '' && textOf(`/proc/${pid}/stat`).includes(') Z '))
}

/** Folders of bodies under /dev/shm that are this process's. */
export const sharedMemoryFolders = (): string[] =>
  readdirSync('/dev/shm').filter((name) => new RegExp(`^dunlin-.*-?${process.pid}-`).test(name))

/** Control groups of workers below this process's own. */
export function workerGroups(): string[] {
  const trees = cgroupTrees(textOf('/proc/self/mountinfo'), textOf('/proc/self/cgroup'))
  return [trees.unified, trees.pids].flatMap((tree) => {
    if (tree === null) return []
    const own = foldersIn(tree).filter((name) => name.startsWith(`dunlin-${process.pid}-`))
    return own.flatMap((name) => foldersIn(join(tree, name)).map((group) => join(tree, name, group)))
  })
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

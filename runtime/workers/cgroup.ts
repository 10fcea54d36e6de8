import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

/** Times that a group is looked at until nobody is left in it, and that its folder is removed until the kernel lets go of it. */
const KILL_ROUNDS_MAX = 20
const REMOVE_TRIES_MAX = 50
const REMOVE_AGAIN_MS = 20

/** Where groups can be made: the v2 tree (to kill and to list), the v1 tree of the pids controller (to limit). Either may be missing. */
export interface CgroupTrees {
  readonly unified: string | null
  readonly pids: string | null
}

/** From /proc/self/mountinfo and /proc/self/cgroup: where this process's own groups are mounted. */
export function cgroupTrees(mountInfo: string, ownGroups: string): CgroupTrees {
  const own = new Map<string, string>()
  for (const line of ownGroups.split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.+)$/.exec(line) ?? []
    if (path !== undefined) for (const name of controllers!.split(',')) own.set(name, path)
  }
  const trees: { unified: string | null; pids: string | null } = { unified: null, pids: null }
  for (const line of mountInfo.split('\n')) {
    const [mount = '', superblock = ''] = line.split(' - ')
    const point = mount.split(' ')[4]
    const [type, , flags = ''] = superblock.split(' ')
    if (point === undefined) continue
    if (type === 'cgroup2' && own.has('')) trees.unified ??= resolve(join(point, own.get('')!))
    if (type === 'cgroup' && flags.split(',').includes('pids') && own.has('pids')) trees.pids ??= resolve(join(point, own.get('pids')!))
  }
  return trees
}

/** A group of processes that no fork, double fork or setsid leaves. */
export class Cgroup {
  readonly #folders: readonly string[]
  readonly #unified: string | null
  readonly #pids: string | null
  #pidsMax = 'max'

  constructor(unified: string | null, pids: string | null) {
    this.#unified = unified
    this.#pids = pids
    this.#folders = [unified, pids].filter((folder) => folder !== null)
  }

  /** Throws when the kernel refuses it. */
  open(pidsMax: number): void {
    for (const folder of this.#folders) mkdirSync(folder, { recursive: true })
    this.#pidsMax = String(pidsMax)
    this.#limit(this.#pidsMax)
  }

  /** A process that writes 0 to each of these is in the group, and so is what it forks from then on. */
  get entrances(): string[] {
    return this.#folders.map((folder) => join(folder, 'cgroup.procs'))
  }

  get members(): number[] {
    try {
      return readFileSync(join(this.#folders[0]!, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean).map(Number)
    } catch {
      return []
    }
  }

  kill(): void {
    if (this.#unified !== null && tryWrite(join(this.#unified, 'cgroup.kill'), '1')) return
    // Before Linux 5.14, or v1: nobody may fork any more, so killing comes to an end.
    this.#limit('0')
    for (let round = 0; round < KILL_ROUNDS_MAX; round++) {
      const { members } = this
      if (members.length === 0) break
      for (const pid of members) tryKill(pid)
    }
    this.#limit(this.#pidsMax)
  }

  /** In the v2 tree this works where the pids controller is on for the group. */
  #limit(processes: string): void {
    const limited = this.#pids ?? this.#unified
    if (limited !== null) tryWrite(join(limited, 'pids.max'), processes)
  }

  /** Kills what is left and removes the folders as soon as the kernel allows it. */
  close(tries = REMOVE_TRIES_MAX): void {
    this.kill()
    const left = this.#folders.filter((folder) => !tryRemove(folder))
    if (left.length > 0 && tries > 1) setTimeout(() => this.close(tries - 1), REMOVE_AGAIN_MS).unref()
  }
}

/** Ends what agents that were killed have left behind: groups named after a process that is gone. */
export function removeLeftGroups({ unified, pids }: CgroupTrees, prefix: string, isAlive: (name: string) => boolean): void {
  const names = new Set([unified, pids].flatMap((tree) => (tree === null ? [] : foldersIn(tree).filter((name) => name.startsWith(prefix)))))
  for (const name of names) {
    if (isAlive(name)) continue
    const children = new Set([unified, pids].flatMap((tree) => (tree === null ? [] : foldersIn(join(tree, name)))))
    for (const child of children) new Cgroup(below(unified, name, child), below(pids, name, child)).close()
    new Cgroup(below(unified, name), below(pids, name)).close()
  }
}

function below(tree: string | null, ...names: readonly string[]): string | null {
  return tree === null ? null : join(tree, ...names)
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}

function tryWrite(file: string, text: string): boolean {
  try {
    writeFileSync(file, text)
    return true
  } catch {
    return false
  }
}

function tryRemove(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

function tryKill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone.
  }
}

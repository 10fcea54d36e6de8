import { accessSync, constants, readFileSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { RuntimeKind } from '../../config/function-config.ts'
import { Cgroup, cgroupTrees, removeLeftGroups, type CgroupTrees } from './cgroup.ts'
import { killGroup } from './child.ts'
import { rssBytes, rssBytesOf } from './process-memory.ts'

const PREFIX = 'dunlin-'
/** The kernel's choice when memory ends, from 0 to 1000: children go long before the agent, which has 0. */
const OOM_SCORE = 500
/** Processes and threads of one worker. A JVM or a Node has some twenty threads of its own, a library may start one for each core. */
const PIDS_MAX: Readonly<Record<RuntimeKind, number>> = { shell: 64, python: 64, nodejs: 256, java: 256, native: 256, golang: 256 }

const SHELL = '/bin/sh'
const ENTER = `{ echo 0 >"$1"; echo 0 >"$2"; echo ${OOM_SCORE} >/proc/$$/oom_score_adj; } 2>/dev/null; shift 2; exec "$@"`

/**
 * A child of the agent, and all that it forks. Where cgroups can be made (root, or a delegated group) nothing escapes and the number
 * of processes is limited; elsewhere it is a process group, which a child that calls setsid leaves.
 */
export class ChildGroup {
  readonly #cgroup: Cgroup | undefined
  #pid: number | undefined

  constructor(cgroup: Cgroup | undefined) {
    this.#cgroup = cgroup
  }

  /**
   * The command as it must be spawned. It enters the groups itself, before it becomes what it is to be: a program that forks at once
   * would be faster than its parent.
   */
  commandOf(command: string, args: readonly string[], path = process.env['PATH']): { command: string; args: readonly string[] } {
    const program = this.#cgroup && findProgram(command, path)
    // Not there: spawning it says so.
    if (!this.#cgroup || program === undefined) return { command, args }
    const [first = '/dev/null', second = '/dev/null'] = this.#cgroup.entrances
    return { command: SHELL, args: ['-c', ENTER, SHELL, first, second, program, ...args] }
  }

  /** Called as soon as the child is there. */
  add(pid: number | undefined): void {
    if (pid === undefined) return
    this.#pid = pid
    try {
      writeFileSync(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE))
    } catch {
      // It has ended already, or there is no /proc.
    }
  }

  /** The process group only once: nobody is left in it then, and its number may soon be another's. */
  kill(): void {
    killGroup(this.#pid)
    this.#pid = undefined
    this.#cgroup?.kill()
  }

  memoryBytes(): number {
    const members = this.#cgroup?.members ?? []
    if (members.length > 0) return rssBytesOf(members)
    return this.#pid === undefined ? 0 : rssBytes(this.#pid)
  }

  /** Nothing of it is left after this. */
  close(): void {
    this.kill()
    this.#cgroup?.close()
  }
}

/** Makes the groups of this process's children; one per process. */
class ChildGroups {
  #trees: CgroupTrees | undefined
  #made = 0

  make(runtime: RuntimeKind): ChildGroup {
    const { unified, pids } = this.#open()
    if (unified === null && pids === null) return new ChildGroup(undefined)
    const name = String(++this.#made)
    const cgroup = new Cgroup(unified && join(unified, name), pids && join(pids, name))
    try {
      cgroup.open(PIDS_MAX[runtime])
      return new ChildGroup(cgroup)
    } catch {
      return new ChildGroup(undefined)
    }
  }

  /** The trees are tried once: a group is made in each, and what does not take one is not used. */
  #open(): CgroupTrees {
    if (this.#trees) return this.#trees
    const own = `${PREFIX}${process.pid}-${startTime(process.pid)}`
    const found = readTrees()
    removeLeftGroups(found, PREFIX, (name) => {
      const [, pid, start] = /^dunlin-(\d+)-(\d+)$/.exec(name) ?? []
      return pid === undefined || startTime(Number(pid)) === start
    })
    const usable = (tree: string | null): string | null => {
      if (tree === null) return null
      try {
        accessSync(SHELL, constants.X_OK)
        new Cgroup(join(tree, own), null).open(PIDS_MAX.java)
        return join(tree, own)
      } catch {
        return null
      }
    }
    this.#trees = { unified: usable(found.unified), pids: usable(found.pids) }
    const { unified, pids } = this.#trees
    // The group above all workers has no limit of its own.
    if (pids !== null) writeFileSync(join(pids, 'pids.max'), 'max')
    process.on('exit', () => new Cgroup(unified, pids).close(1))
    return this.#trees
  }
}

export const childGroups = new ChildGroups()

/** As a shell looks for it. */
function findProgram(command: string, path = ''): string | undefined {
  const folders = command.includes('/') ? [''] : path.split(delimiter)
  return folders.map((folder) => (folder === '' ? command : join(folder, command))).find(isExecutable)
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}

function readTrees(): CgroupTrees {
  try {
    return cgroupTrees(readFileSync('/proc/self/mountinfo', 'utf8'), readFileSync('/proc/self/cgroup', 'utf8'))
  } catch {
    return { unified: null, pids: null }
  }
}

/** When a process started, in ticks since boot: with it, a number that was used again is not taken for the old process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

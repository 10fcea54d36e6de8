/** The `dunlin` command as a process, the way a person starts it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../agent/cli.ts', import.meta.url))

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
}

export function startDunlin(args: readonly string[], { cwd, env }: RunOptions = {}): ChildProcess {
  const own = { ...process.env, DUNLIN_HOME: '', DUNLIN_DEBUG: '', ...env }
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
    cwd,
    env: own,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export async function dunlin(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  return await endOf(startDunlin(args, options))
}

export function endOf(child: ChildProcess): Promise<Ran> {
  const text = { out: '', err: '' }
  child.stdout!.on('data', (chunk: Buffer) => (text.out += chunk.toString()))
  child.stderr!.on('data', (chunk: Buffer) => (text.err += chunk.toString()))
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, ...text })))
}

/** Resolves when stdout holds `text`; rejects with all it said when it ends before. */
export function saying(child: ChildProcess, text: string): Promise<void> {
  let said = ''
  return new Promise((resolve, reject) => {
    child.stderr!.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stdout!.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes(text)) resolve()
    })
    child.once('close', (code) => reject(new Error(`ended with ${code}: ${said}`)))
  })
}

/** Processes whose command line names `what`. */
export function processesOf(what: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(what)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Processes that `parent` has started itself: not what those start, which comes and goes. */
export function childrenOf(parent: ChildProcess): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) === parent.pid
      } catch {
        return false
      }
    })
}

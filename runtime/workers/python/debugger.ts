import { execFile } from 'node:child_process'
import type { DebugOptions } from '../worker.ts'

export interface PythonDebugger {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** debugpy where it is installed; else `breakpoint()` in a handler opens pdb at the port, for which nothing need be installed. */
export async function pythonDebugger(command: string, { host, port, isWaiting }: DebugOptions): Promise<PythonDebugger> {
  const address = `${host}:${port}`
  if (!(await hasDebugpy(command))) {
    return { args: [], env: { PYTHONBREAKPOINT: 'dunlin_guest.remote_pdb.set_trace', DUNLIN_PDB: address } }
  }
  // Frozen modules would hide breakpoints, and debugpy complains of them at each start.
  const args = ['-Xfrozen_modules=off', '-m', 'debugpy', '--listen', address, ...(isWaiting ? ['--wait-for-client'] : [])]
  return { args, env: {} }
}

function hasDebugpy(command: string): Promise<boolean> {
  const code = 'import importlib.util, sys; sys.exit(importlib.util.find_spec("debugpy") is None)'
  return new Promise((resolve) => execFile(command, ['-c', code], (error) => resolve(error === null)))
}

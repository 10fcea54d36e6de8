import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

export interface EndedChild {
  readonly output: string
  readonly signal: string | null
  readonly errors: string
}

/** Runs deploy-child.ts to its end, or to the crash point. */
export async function runDeployChild(args: readonly string[], crashPoint?: string): Promise<EndedChild> {
  const command = ['--disable-warning=ExperimentalWarning', path.join(import.meta.dirname, 'deploy-child.ts'), ...args]
  const env = { ...process.env, ...(crashPoint && { DUNLIN_CRASH_POINT: crashPoint }) }
  const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [output, errors] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const [, signal] = (await once(child, 'close')) as [number | null, string | null]
  return { output, signal, errors }
}

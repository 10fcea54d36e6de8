/** This process becomes another program: no wrapper stays behind, signals and exit codes go straight through. */
import { fileURLToPath } from 'node:url'
import { ownModule } from '../../runtime/base/own-module.ts'

export const HUB_MAIN = fileURLToPath(ownModule(import.meta.url, '../../hub/main'))
export const AGENT_MAIN = fileURLToPath(ownModule(import.meta.url, '../main'))

export const NODE_ARGUMENTS = ['--disable-warning=ExperimentalWarning']

export function replaceProcess(script: string, args: readonly string[]): never {
  if (!process.execve) throw new Error('Cannot replace the process: this Node has no process.execve')
  return process.execve(process.execPath, [process.execPath, ...NODE_ARGUMENTS, script, ...args], process.env)
}

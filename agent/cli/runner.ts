/**
 * One child in the foreground: its ready line, its warnings as readable lines, and the signals of a person passed on to it. The
 * first Ctrl-C lets it drain, the second ends it.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { EXIT_ON_STDIN_END } from '../../runtime/base/exit-with-parent.ts'
import { Exit } from './exit-codes.ts'
import type { Printer } from './printer.ts'
import { NODE_ARGUMENTS } from './replace-process.ts'
import { oneLine } from './table.ts'

const WARN = 40
const ERROR = 50

export interface Runner {
  /** What the ready line says; undefined when it ended before. */
  readonly ready: Promise<Record<string, unknown> | undefined>
  readonly exitCode: Promise<Exit>
}

export function startRunner(script: string, args: readonly string[], printer: Printer): Runner {
  const ready = Promise.withResolvers<Record<string, unknown> | undefined>()
  const exitCode = Promise.withResolvers<Exit>()
  const child = spawn(process.execPath, [...NODE_ARGUMENTS, script, ...args], {
    // Ctrl-C goes to this process; it decides how the child ends.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, [EXIT_ON_STDIN_END]: '1' },
  })
  child.stdin.on('error', () => {})
  let signals = 0
  const onSignal = () => child.kill(++signals === 1 ? 'SIGTERM' : 'SIGKILL')
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  createInterface({ input: child.stdout }).on('line', (line) => ready.resolve(JSON.parse(line) as Record<string, unknown>))
  createInterface({ input: child.stderr }).on('line', (line) => tell(line, printer))
  child.once('error', (error) => printer.remark(`dunlin: ${error.message}`))
  child.once('close', (code) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.removeListener(signal, onSignal)
    ready.resolve(undefined)
    exitCode.resolve((signals > 0 ? Exit.ok : (code ?? Exit.failed)) as Exit)
  })
  return { ready: ready.promise, exitCode: exitCode.promise }
}

/** The agent's own log is JSON lines: of those, what a person must know. What is no JSON is shown as it is. */
function tell(line: string, printer: Printer): void {
  let entry: { level?: number; msg?: string; error?: string; err?: { message?: string } }
  try {
    entry = JSON.parse(line) as typeof entry
  } catch {
    printer.remark(line)
    return
  }
  if ((entry.level ?? ERROR) < WARN && process.env['DUNLIN_DEBUG'] !== '1') return
  printer.remark(printer.paint((entry.level ?? ERROR) >= ERROR ? 'red' : 'yellow', oneLine([entry.msg, entry.error ?? entry.err?.message].filter(Boolean).join(': '))))
}

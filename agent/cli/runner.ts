/**
 * A child in the foreground: its ready line, its warnings as readable lines, its end. It has a process group of its own, so that
 * Ctrl-C reaches this process alone, which lets it drain first.
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
  /** Whether it became ready; false when it ended before. */
  readonly ready: Promise<boolean>
  readonly exitCode: Promise<Exit>
  /** The first call drains, the second kills. */
  stop(): void
}

export function startRunner(script: string, args: readonly string[], printer: Printer): Runner {
  const ready = Promise.withResolvers<boolean>()
  const exitCode = Promise.withResolvers<Exit>()
  const child = spawn(process.execPath, [...NODE_ARGUMENTS, script, ...args], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, [EXIT_ON_STDIN_END]: '1' },
  })
  child.stdin.on('error', () => {})
  createInterface({ input: child.stdout }).once('line', () => ready.resolve(true))
  createInterface({ input: child.stderr }).on('line', (line) => tell(line, printer))
  child.once('error', (error) => printer.remark(`dunlin: ${error.message}`))
  child.once('close', (code) => {
    ready.resolve(false)
    exitCode.resolve((code ?? Exit.failed) as Exit)
  })
  let stops = 0
  return {
    ready: ready.promise,
    exitCode: exitCode.promise,
    stop() {
      child.kill(++stops === 1 ? 'SIGTERM' : 'SIGKILL')
    },
  }
}

/** The agent's own log is JSON lines: of those, what a person must know. What is no JSON is shown as it is. */
function tell(line: string, printer: Printer): void {
  let entry: { level?: number; msg?: string; error?: string; err?: { message?: string } }
  try {
    entry = JSON.parse(line) as typeof entry
  } catch {
    printer.remark(/^\s/.test(line) ? line : `dunlin: ${line}`)
    return
  }
  const level = entry.level ?? ERROR
  if (level < WARN && process.env['DUNLIN_DEBUG'] !== '1') return
  printer.remark(
    printer.paint(level >= ERROR ? 'red' : 'yellow', oneLine([entry.msg, entry.error ?? entry.err?.message].filter(Boolean).join(': '))),
  )
}

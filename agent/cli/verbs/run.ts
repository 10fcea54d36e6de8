/** `dunlin run`: an agent without a hub that serves one function from its source, until Ctrl-C. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { FunctionConfig } from '../../../config/function-config.ts'
import { sleep } from '../../../runtime/base/backoff.ts'
import { describeError } from '../../../runtime/base/errors.ts'
import { agentSocket } from '../../local-api/socket-path.ts'
import { openFunctionSource } from '../../source/function-source.ts'
import { findPort, listenText, parseListen } from '../../up/free-port.ts'
import { AgentClient } from '../agent-client.ts'
import type { AgentLogLine } from '../answers.ts'
import type { Call } from '../call.ts'
import { Exit } from '../exit-codes.ts'
import { logText } from '../log-text.ts'
import type { Printer } from '../printer.ts'
import { AGENT_MAIN } from '../replace-process.ts'
import { startRunner, type Runner } from '../runner.ts'
import { watchSource } from '../source-watch.ts'
import { debuggerLine, tryLines } from '../try-lines.ts'

const LOG_POLL_MS = 200
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface RunOptions {
  readonly watch?: boolean
  readonly dataDir?: string
  readonly brokerListen?: string
  readonly httpListen?: string
  /** The device's broker only when a trigger listens there, or when it is told where. */
  readonly brokerWhenNeeded?: boolean
  /** A port, or true for the runtime's usual one. */
  readonly inspect?: number | true
  readonly inspectWait?: number | true
}

export async function run({ printer }: Call, path: string, options: RunOptions): Promise<Exit> {
  const config = readConfig(path, printer)
  const broker = await freePort('--broker-listen', options.brokerListen, '127.0.0.1:1883')
  const http = await freePort('--http-listen', options.httpListen, '127.0.0.1:8080')
  const dataDir = options.dataDir ? resolve(options.dataDir) : mkdtempSync(join(tmpdir(), 'dunlin-run-'))
  const hasBroker = !options.brokerWhenNeeded || options.brokerListen !== undefined || listensAtBroker(config)
  const brokerArgs = hasBroker ? ['--broker-listen', listenText(broker)] : ['--no-broker']
  const args = ['--run', resolve(path), '--data-dir', dataDir, ...brokerArgs, '--http-listen', listenText(http)]
  const inspect = options.inspectWait ?? options.inspect
  if (inspect !== undefined)
    args.push('--inspect', inspect === true ? '' : String(inspect), ...(options.inspectWait ? ['--inspect-wait'] : []))
  if (options.inspectWait !== undefined) printer.line(`${debuggerLine(config, options.inspectWait)}; it waits for you`)
  const start = () => startRunner(AGENT_MAIN, args, printer)
  const greet = (config: FunctionConfig) => {
    printer.line(`${printer.paint('bold', config.name)} runs (${config.runtime}${options.watch ? ', watching its files' : ''}). Try:`)
    for (const line of tryLines(config, listenText(http), broker)) printer.line(`  ${line}`)
    if (inspect !== undefined) printer.line(`  ${debuggerLine(config, inspect)}`)
    printer.line('Ctrl-C stops it.\n')
  }
  try {
    return await serve(path, { printer, dataDir, isWatching: options.watch === true, start, greet })
  } finally {
    if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true })
  }
}

function listensAtBroker({ triggers }: FunctionConfig): boolean {
  return triggers.some((trigger) => trigger.kind === 'mqtt' && trigger.outside === null)
}

interface Serving {
  readonly printer: Printer
  readonly dataDir: string
  readonly isWatching: boolean
  readonly start: () => Runner
  readonly greet: (config: FunctionConfig) => void
}

/** Until it ends or is interrupted; with `isWatching` each change of the source is taken up by the agent that runs. */
async function serve(path: string, { printer, dataDir, isWatching, start, greet }: Serving): Promise<Exit> {
  let runner: Runner | undefined
  let isInterrupted = false
  let changed = Promise.withResolvers<void>()
  const wake = () => changed.resolve()
  const onSignal = () => {
    isInterrupted = true
    runner?.stop()
    wake()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  const watcher = isWatching ? watchSource(path, wake) : undefined
  try {
    for (let isFirst = true; ; isFirst = false) {
      const config = readAgain(path, printer, isFirst)
      runner = config && start()
      const exitCode = runner?.exitCode ?? new Promise<Exit>(() => {})
      if (runner && (await runner.ready)) {
        greet(config!)
        void followLogs(dataDir, exitCode, printer)
      }
      // An agent that runs takes the change up; one that did not start is started again.
      for (;;) {
        const ended = await Promise.race([exitCode, changed.promise])
        if (ended !== undefined && !isInterrupted) {
          if (!isWatching) return ended
          await changed.promise
        }
        if (isInterrupted) return runner ? await exitCode.then(() => Exit.ok) : Exit.ok
        changed = Promise.withResolvers()
        if (ended !== undefined || !runner) break
        await reload(dataDir, printer)
      }
    }
  } finally {
    watcher?.close()
    for (const signal of SIGNALS) process.removeListener(signal, onSignal)
  }
}

/** The version before goes on when the new one is not good. */
async function reload(dataDir: string, printer: Printer): Promise<void> {
  const startedMs = performance.now()
  try {
    const { function: name } = (await agentIn(dataDir).post('/v1/source/reload')) as { function: string }
    printer.line(`${printer.paint('bold', name)} runs again (${Math.round(performance.now() - startedMs)} ms)`)
  } catch (error) {
    printer.remark(
      printer.paint(
        'red',
        `${describeError(error)}
the version before runs on`,
      ),
    )
  }
}

/** Throws ConfigError: what is wrong is said with its place before anything starts. */
function readConfig(path: string, printer?: Printer): FunctionConfig {
  const source = openFunctionSource(path)
  source.close()
  for (const notice of source.config.notices) printer?.remark(`notice: ${notice}`)
  return source.config
}

/** undefined: the change made it wrong; the next one may make it right. */
function readAgain(path: string, printer: Printer, isFirst: boolean): FunctionConfig | undefined {
  if (isFirst) return readConfig(path)
  try {
    return readConfig(path)
  } catch (error) {
    printer.remark(printer.paint('red', describeError(error)))
    return undefined
  }
}

async function freePort(setting: string, given: string | undefined, fallback: string) {
  return await findPort({ setting, listen: parseListen(given ?? fallback, setting), isFixed: given !== undefined })
}

async function followLogs(dataDir: string, ended: Promise<unknown>, printer: Printer): Promise<void> {
  const agent = agentIn(dataDir)
  const ending = new AbortController()
  const { signal } = ending
  void ended.then(() => ending.abort())
  let after = 0
  while (!signal.aborted) {
    const { lines } = (await agent.get(`/v1/logs?after=${after}&limit=500`, signal).catch(() => ({ lines: [] }))) as {
      lines: AgentLogLine[]
    }
    for (const { seq, timeMs, level, function: name, message, fields } of lines) {
      printer.line(logText({ time: new Date(timeMs).toISOString(), level, function: name ?? null, message, fields }, printer))
      after = Math.max(after, seq)
    }
    await sleep(LOG_POLL_MS, signal).catch(() => {})
  }
}

function agentIn(dataDir: string): AgentClient {
  return new AgentClient({ path: dataDir, context: { agent: { socket: agentSocket(dataDir) } } })
}

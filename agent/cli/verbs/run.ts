/** `dunlin run`: an agent without a hub that serves one function from its source, until Ctrl-C. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { FunctionConfig } from '../../../config/function-config.ts'
import { openFunctionSource } from '../../source/function-source.ts'
import { findPort, listenText, parseListen } from '../../up/free-port.ts'
import { agentSocket } from '../../local-api/socket-path.ts'
import { AgentClient } from '../agent-client.ts'
import type { AgentLogLine } from '../answers.ts'
import type { Call } from '../call.ts'
import { Exit } from '../exit-codes.ts'
import { logText } from '../log-text.ts'
import { AGENT_MAIN } from '../replace-process.ts'
import { startRunner } from '../runner.ts'

const LOG_POLL_MS = 200

export interface RunOptions {
  readonly watch?: boolean
  readonly dataDir?: string
  readonly brokerListen?: string
  readonly httpListen?: string
}

export async function run({ printer }: Call, path: string, options: RunOptions): Promise<Exit> {
  // Read here as well, so that what is wrong with it is said at once and with its place.
  const source = openFunctionSource(path)
  source.close()
  const { config } = source
  for (const notice of config.notices) printer.remark(`notice: ${notice}`)
  const broker = await port('--broker-listen', options.brokerListen, '127.0.0.1:1883')
  const http = await port('--http-listen', options.httpListen, '127.0.0.1:8080')
  const dataDir = options.dataDir ? resolve(options.dataDir) : mkdtempSync(join(tmpdir(), 'dunlin-run-'))
  const args = ['--run', resolve(path), '--data-dir', dataDir, '--broker-listen', listenText(broker), '--http-listen', listenText(http), ...(options.watch ? ['--watch'] : [])]
  const runner = startRunner(AGENT_MAIN, args, printer)
  try {
    const ready = await runner.ready
    if (!ready) return await runner.exitCode
    printer.line(`${printer.paint('bold', config.name)} runs (${config.runtime}${options.watch ? ', watching its files' : ''}). Try:`)
    for (const line of tryLines(config, listenText(http), broker)) printer.line(`  ${line}`)
    printer.line('Ctrl-C stops it.\n')
    await followLogs(dataDir, runner.exitCode, (line) => printer.line(logText({ ...line, time: new Date(line.timeMs).toISOString(), function: line.function ?? null, fields: line.fields ?? null }, printer)))
    return await runner.exitCode
  } finally {
    if (!options.dataDir) rmSync(dataDir, { recursive: true, force: true })
  }
}

async function port(setting: string, given: string | undefined, fallback: string) {
  return await findPort({ setting, listen: parseListen(given ?? fallback, setting), isFixed: given !== undefined })
}

/** A line for each trigger that a person can set off. */
export function tryLines({ name, triggers }: FunctionConfig, http: string, broker: { host: string; port: number }): string[] {
  const lines = triggers.flatMap((trigger) => {
    if (trigger.kind === 'http') {
      const where = trigger.port === null ? http : `127.0.0.1:${trigger.port}`
      return trigger.paths.slice(0, 1).map((path) => `curl -d 'hello' http://${where}${path}`)
    }
    if (trigger.kind === 'mqtt' && trigger.url === null) {
      const topic = (trigger.subscriptions[0]?.topic ?? '#').replace(/\/#$/, '/x').replaceAll('+', 'x').replace('#', 'x')
      return [`mosquitto_pub -h ${broker.host} -p ${broker.port} -q 1 -t ${topic} -m 'hello'`]
    }
    return [trigger.kind === 'cron' ? `(it runs by itself: ${trigger.schedule ?? `every ${trigger.intervalMs} ms`})` : `(trigger ${trigger.name})`]
  })
  return lines.length > 0 ? lines : [`(no triggers: ${name} runs only when another function calls it)`]
}

async function followLogs(dataDir: string, ended: Promise<unknown>, show: (line: AgentLogLine) => void): Promise<void> {
  const agent = new AgentClient({ path: dataDir, context: { agent: { socket: agentSocket(dataDir) } } })
  let isEnded = false
  void ended.then(() => (isEnded = true))
  let after = 0
  while (!isEnded) {
    const { lines } = (await agent.get(`/v1/logs?after=${after}&limit=500`).catch(() => ({ lines: [] }))) as { lines: AgentLogLine[] }
    for (const line of lines) {
      show(line)
      after = Math.max(after, line.seq)
    }
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, LOG_POLL_MS))])
  }
}

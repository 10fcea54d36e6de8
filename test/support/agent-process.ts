/** An agent as a process of its own, with one function from source and no hub. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { agentSocket } from '../../agent/local-api/socket-path.ts'

export const AGENT_MAIN = join(import.meta.dirname, '../../agent/main.ts')

export interface AgentProcess {
  readonly child: ChildProcess
  readonly brokerPort: number
  readonly httpPort: number
  readonly socket: string
  log(): string
  /** JSON of the local API. */
  get<T>(path: string): Promise<T>
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Writes the function's files and starts the agent; rejects with its words when it ends before it is ready. */
export async function startAgent(folder: string, files: Record<string, string>, flags: readonly string[] = []): Promise<AgentProcess> {
  const dataDir = join(folder, 'data')
  const source = join(folder, 'function')
  mkdirSync(source, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text, { mode: 0o755 })
  const args = [
    AGENT_MAIN,
    '--run',
    source,
    '--data-dir',
    dataDir,
    '--broker-listen',
    '127.0.0.1:0',
    '--http-listen',
    '127.0.0.1:0',
    ...flags,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log = (log + chunk.toString()).slice(-100_000)))
  const exit = once(child, 'exit')
  const first = await Promise.race([once(createInterface(child.stdout), 'line'), exit.then(() => undefined)])
  if (!first) throw new Error(`The agent ended with ${child.exitCode}: ${log}`)
  const ready = JSON.parse(first[0]) as { broker: { port: number }; http: { port: number } | null }
  const socket = agentSocket(dataDir)
  return {
    child,
    brokerPort: ready.broker.port,
    httpPort: ready.http?.port ?? 0,
    socket,
    log: () => log,
    get: <T>(path: string) => getJson(socket, path) as Promise<T>,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      await exit
    },
  }
}

/** JSON of an agent's local API. */
export function getJson(socketPath: string, path: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString())))
    })
    sent.on('error', reject)
    sent.end()
  })
}

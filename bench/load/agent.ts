/** An agent as users start it, with one function from source and no hub; its broker and http listener on free ports. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { agentSocket } from '../../agent/local-api/socket-path.ts'
import type { FunctionStatus } from '../../runtime/functions/function-host.ts'
import type { Ledger } from '../../runtime/store/store.ts'
import { startProcess, type Started } from './processes.ts'

export interface BenchAgent {
  readonly process: Started
  readonly brokerPort: number
  readonly httpPort: number
  ledger(): Promise<Ledger>
  /** Events whose outcome is committed; costs the agent nothing to tell. */
  handled(): Promise<number>
  stop(): Promise<void>
}

export async function startAgent(files: Record<string, string>): Promise<BenchAgent> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  const source = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text)
  const args = [
    join(import.meta.dirname, '../../agent/main.ts'),
    '--run',
    source,
    '--data-dir',
    folder,
    '--broker-listen',
    '127.0.0.1:0',
    '--http-listen',
    '127.0.0.1:0',
  ]
  const process_ = await startProcess(process.execPath, args, /\{"event":"ready".*\}/)
  const { broker, http } = JSON.parse(process_.ready[0]) as { broker: { port: number }; http: { port: number } | null }
  return {
    process: process_,
    brokerPort: broker.port,
    httpPort: http?.port ?? 0,
    handled: async () => {
      const { functions } = (await getJson(agentSocket(folder), '/v1/functions')) as { functions: FunctionStatus[] }
      return functions[0]!.triggers[0]!.handled
    },
    ledger: () => getJson(agentSocket(folder), '/v1/ledger') as Promise<Ledger>,
    async stop() {
      await process_.stop()
      rmSync(folder, { recursive: true, force: true })
      rmSync(source, { recursive: true, force: true })
    },
  }
}

function getJson(socketPath: string, path: string): Promise<unknown> {
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

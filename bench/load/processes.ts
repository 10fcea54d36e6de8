/** Processes of a benchmark: started, waited for until they say that they are ready, and stopped by their own pid. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'

export interface Started {
  readonly pid: number
  /** What `ready` matched. */
  readonly ready: RegExpExecArray
  stop(): Promise<void>
}

export async function startProcess(command: string, args: readonly string[], ready: RegExp): Promise<Started> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(child, 'exit')
  let said = ''
  const match = await new Promise<RegExpExecArray>((resolve, reject) => {
    const look = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-10_000)
      const found = ready.exec(said)
      if (found) resolve(found)
    }
    child.stdout.on('data', look)
    child.stderr.on('data', look)
    child.on('error', reject)
    child.on('exit', (code) => reject(new Error(`${command} ended with ${code}: ${said}`)))
  })
  return {
    pid: child.pid!,
    ready: match,
    async stop() {
      child.kill('SIGTERM')
      await exited
    },
  }
}

export interface Published {
  readonly acked: number
  readonly seconds: number
  /** Wall clock when the first message went out. */
  readonly startedAtMs: number
}

export async function publishQos1(options: {
  port: number
  messages: number
  window: number
  payloadBytes: number
  topics: number
}): Promise<Published> {
  const { port, messages, window, payloadBytes, topics } = options
  const script = join(import.meta.dirname, 'mqtt-publisher.ts')
  const child = spawn(process.execPath, [script, ...[port, messages, window, payloadBytes, topics].map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`The publisher ended with ${code}`)
  return JSON.parse(printed) as Published
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

/** Debian's mosquitto as an outside broker: it keeps its sessions over a restart, on the same port, and its own log says what it knew. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { findProgram } from './packages.ts'

export class Mosquitto {
  readonly port: number
  /** The last lines of its log. */
  readonly log: string[] = []
  readonly #configFile: string
  readonly #outstanding = new Map<string, Set<number>>()
  readonly #cutOff = new Map<string, number>()
  #child: ChildProcess | null = null
  #waiting: { pattern: RegExp; resolve: () => void }[] = []

  private constructor(port: number, configFile: string) {
    this.port = port
    this.#configFile = configFile
  }

  /** Has its port and files, and does not run yet. `lines` go to its configuration behind the listener. */
  static async prepare(directory: string, lines: readonly string[] = ['allow_anonymous true']): Promise<Mosquitto> {
    const port = await freePort()
    const data = path.join(directory, 'mosquitto')
    mkdirSync(data, { recursive: true })
    const configFile = path.join(data, 'mosquitto.conf')
    const config = [
      `listener ${port} 127.0.0.1`,
      ...lines,
      'persistence true',
      `persistence_location ${data}/`,
      'max_queued_messages 0',
      'max_inflight_messages 20',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
    ]
    writeFileSync(configFile, `${config.join('\n')}\n`)
    return new Mosquitto(port, configFile)
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    const child = spawn(findProgram('mosquitto')!, ['-c', this.#configFile, '-v'], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    createInterface(child.stderr).on('line', (line) => this.#read(line))
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`mosquitto ended: ${this.log.slice(-5).join('\n')}`)))
    await Promise.race([this.said(/ running$/), ended])
    ended.catch(() => {})
  }

  /** Resolves at the next line that matches. */
  said(pattern: RegExp): Promise<void> {
    return new Promise((resolve) => this.#waiting.push({ pattern, resolve }))
  }

  /** Messages of QoS 1 that it had sent to a client without its PUBACK when the connection ended or it was stopped: it sends them again. */
  cutOff(client: string): number {
    return (this.#cutOff.get(client) ?? 0) + (this.#child ? 0 : (this.#outstanding.get(client)?.size ?? 0))
  }

  /** Ends it without a word to its clients; it writes its sessions down. */
  async stop(): Promise<void> {
    const child = this.#child
    if (!child) return
    const exited = once(child, 'close')
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await exited
    this.#child = null
  }

  #read(line: string): void {
    if (this.log.push(line) > 2000) this.log.splice(0, 1000)
    const sent = /Sending PUBLISH to (\S+) \(d\d, q1, r\d, m(\d+)/.exec(line)
    if (sent) this.#sentTo(sent[1]!).add(Number(sent[2]))
    const acked = /Received PUBACK from (\S+) \(Mid: (\d+)/.exec(line)
    if (acked) this.#sentTo(acked[1]!).delete(Number(acked[2]))
    const connected = /New client connected from \S+ as (\S+) /.exec(line)
    if (connected) {
      const outstanding = this.#sentTo(connected[1]!)
      this.#cutOff.set(connected[1]!, (this.#cutOff.get(connected[1]!) ?? 0) + outstanding.size)
      outstanding.clear()
    }
    const waiting = this.#waiting
    this.#waiting = waiting.filter(({ pattern }) => !pattern.test(line))
    for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve()
  }

  #sentTo(client: string): Set<number> {
    let outstanding = this.#outstanding.get(client)
    if (!outstanding) this.#outstanding.set(client, (outstanding = new Set()))
    return outstanding
  }
}

export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

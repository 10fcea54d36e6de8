/** A hub and a device as processes of their own, with addresses that stay the same over restarts: what the scenarios kill and start. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connectAsync } from 'mqtt'
import type { Reported } from '../../config/wire.ts'
import type { FunctionStatus } from '../../runtime/functions/function-host.ts'
import type { Ledger } from '../../runtime/store/store.ts'
import { agentSocket } from '../../agent/local-api/socket-path.ts'
import type { AgentRoutes } from '../../agent/cli/answers.ts'
import type { Publisher } from '../../agent/publisher/publisher.ts'
import { getJson } from './agent-process.ts'
import { freePort } from './free-port.ts'
import { call, claimToken, initialiseTrust, publish, spawnHub, type TestHub } from './hub.ts'

type Functions = Record<string, Record<string, string>>
type ReportedFunction = Reported['functions'][number]

interface Device {
  readonly id: string
  readonly connected: boolean
  readonly reported: Reported | null
}

type Teardown = { teardown(fn: () => unknown): void }

export interface HubEvent {
  readonly stream: string
  readonly epoch: string
  readonly seq: number
  readonly replayed: boolean
  readonly body: string
}

export class Fleet {
  readonly folder: string
  readonly brokerPort: number
  readonly #apiPort: number
  readonly #gatewayPort: number
  hub: TestHub | undefined
  agent: ChildProcess | undefined
  agentLog = ''
  #publisher: Publisher | undefined
  #releases = new Map<string, number>()

  private constructor(folder: string, ports: [number, number, number]) {
    this.folder = folder
    ;[this.brokerPort, this.#apiPort, this.#gatewayPort] = ports
  }

  /** A hub with trust, and a device that is enrolled and runs `functions`: name -> its files. */
  static async open(t: Teardown, functions: Functions, agentYaml = ''): Promise<Fleet> {
    const folder = mkdtempSync(join(tmpdir(), 'dunlin-fleet-'))
    writeFileSync(join(folder, 'agent.yaml'), agentYaml)
    const fleet = new Fleet(folder, [await freePort(), await freePort(), await freePort()])
    t.teardown(() => fleet.close())
    await fleet.startHub()
    fleet.#publisher = await initialiseTrust(fleet.hub!, join(folder, 'publisher'))
    writeFileSync(join(folder, 'claim-token'), await claimToken(fleet.hub!))
    await fleet.startAgent()
    await fleet.until(async () => (await fleet.devices()).length === 1)
    await fleet.release(functions)
    return fleet
  }

  async startHub(): Promise<void> {
    this.hub = await spawnHub(join(this.folder, 'hub'), [
      '--api-listen',
      `127.0.0.1:${this.#apiPort}`,
      '--gateway-listen',
      `127.0.0.1:${this.#gatewayPort}`,
    ])
  }

  /** A home of commands that ask this hub and this device. */
  writeHome(): string {
    const home = join(this.folder, 'home')
    mkdirSync(home, { recursive: true })
    const context = {
      hub: { url: this.hub!.url, caFile: '../hub/ca/ca.pem', adminTokenFile: '../hub/admin-token' },
      agent: { socket: agentSocket(join(this.folder, 'agent')) },
      publisher: '../publisher',
    }
    writeFileSync(join(home, 'context.json'), JSON.stringify(context))
    return home
  }

  async killHub(): Promise<void> {
    await kill(this.hub?.child)
    this.hub = undefined
  }

  async startAgent(): Promise<void> {
    const args = [
      join(import.meta.dirname, '../../agent/main.ts'),
      `--config=${join(this.folder, 'agent.yaml')}`,
      `--data-dir=${join(this.folder, 'agent')}`,
      '--name=device-1',
      '--http-listen=127.0.0.1:0',
      `--broker-listen=127.0.0.1:${this.brokerPort}`,
      `--hub=https://127.0.0.1:${this.#apiPort}`,
      `--claim-token-file=${join(this.folder, 'claim-token')}`,
    ]
    mkdirSync(join(this.folder, 'agent'), { recursive: true })
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
    child.stderr.on('data', (chunk: Buffer) => (this.agentLog = (this.agentLog + chunk.toString()).slice(-100_000)))
    const ready = once(createInterface(child.stdout), 'line')
    await Promise.race([
      ready,
      once(child, 'exit').then(([code]) => {
        throw new Error(`The agent ended with ${code} before it was ready: ${this.agentLog}`)
      }),
    ])
    this.agent = child
  }

  async killAgent(): Promise<void> {
    await kill(this.agent)
    this.agent = undefined
  }

  /** Publishes a version of each function and assigns it; resolves when the device has committed them. */
  async release(functions: Functions): Promise<void> {
    const versions = await this.publishAndAssign(functions)
    await this.until(async () => {
      const found = await Promise.all(Object.entries(versions).map(([name, version]) => this.deployment(name, version)))
      return found.every((fn) => fn?.state === 'committed' && fn.ready)
    })
  }

  /** Returns the version of each function. */
  async publishAndAssign(functions: Functions): Promise<Record<string, number>> {
    const versions: Record<string, number> = {}
    for (const [name, files] of Object.entries(functions)) {
      const version = (this.#releases.get(name) ?? 0) + 1
      this.#releases.set(name, version)
      versions[name] = version
      const answer = await publish(this.hub!, this.#publisher!, name, version, files)
      if (answer.status >= 300) throw new Error(`Not published: ${answer.bytes}`)
    }
    const wanted = [...this.#releases].map(([name, version]) => ({ name, version }))
    await call(this.hub!, 'POST', '/v1/releases', { body: { functions: wanted, devices: '*' } })
    return versions
  }

  /** What the device has reported of a version. */
  async deployment(name: string, version: number): Promise<ReportedFunction | undefined> {
    const [device] = await this.devices()
    return device?.reported?.functions.find((fn) => fn.name === name && fn.version === version)
  }

  async devices(): Promise<Device[]> {
    return (await call(this.hub!, 'GET', '/v1/devices')).json.devices
  }

  /** All events of a stream at the hub. */
  async events(stream: string): Promise<HubEvent[]> {
    const found: HubEvent[] = []
    for (let after = ''; ;) {
      const { json } = await call(
        this.hub!,
        'GET',
        `/v1/events?device=device-1&stream=${stream}&limit=1000${after === '' ? '' : `&after=${after}`}`,
      )
      found.push(...json.events)
      if (json.next === null || json.next === undefined || json.events.length === 0) return found
      after = String(json.next)
    }
  }

  async streams(): Promise<{ stream: string; contiguousSeq: number; maxSeq: number; stored: number; gaps: [number, number][] }[]> {
    return (await call(this.hub!, 'GET', '/v1/streams?device=device-1')).json.streams
  }

  ledger(): Promise<Ledger> {
    return getJson(agentSocket(join(this.folder, 'agent')), '/v1/ledger') as Promise<Ledger>
  }

  /** As the device's own API tells them. */
  routes(name: string): Promise<AgentRoutes> {
    return getJson(agentSocket(join(this.folder, 'agent')), `/v1/functions/${name}/routes`) as Promise<AgentRoutes>
  }

  async functionStatus(name: string): Promise<FunctionStatus | undefined> {
    const { functions } = (await getJson(agentSocket(join(this.folder, 'agent')), '/v1/status')) as { functions: FunctionStatus[] }
    return functions.find((fn) => fn.name === name)
  }

  /** QoS 1 to the device's broker; resolves when all are acknowledged. */
  async publish(topic: string, payloads: readonly string[]): Promise<void> {
    const client = await connectAsync(`mqtt://127.0.0.1:${this.brokerPort}`, { reconnectPeriod: 0 })
    await Promise.all(payloads.map((payload) => client.publishAsync(topic, payload, { qos: 1 })))
    await client.endAsync()
  }

  /** Asks until it is true. Between two questions the processes work; there is nothing else to wait for. */
  async until(isTrue: () => Promise<boolean>, withinMs = 60_000): Promise<void> {
    const endMs = performance.now() + withinMs
    while (!(await isTrue())) {
      if (performance.now() > endMs)
        throw new Error(`It did not become true within ${withinMs} ms; the agent said: ${this.agentLog.slice(-4000)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  async close(): Promise<void> {
    await kill(this.agent)
    await kill(this.hub?.child)
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function kill(child: ChildProcess | undefined): Promise<void> {
  if (!child || child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}

/**
 * `dunlin up`: hub, one enrolled agent and the readings of this machine, each a process of its own, all data in one folder. Wires
 * them in the order in which each needs the one before:
 *
 *   hub -> trust (publisher's keys) -> claim token -> agent -> example release -> readings
 *
 * What can run side by side does: an agent that is enrolled starts with the hub, functions are published while the agent starts.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../../runtime/base/backoff.ts'
import { Closer } from '../../runtime/base/closer.ts'
import { makePrivateFolder, writeDurably } from '../../runtime/base/durable-file.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import type { AgentStatus } from '../cli/answers.ts'
import type { Call } from '../cli/call.ts'
import { Exit } from '../cli/exit-codes.ts'
import { initialiseTrust } from '../cli/publish.ts'
import { AGENT_MAIN, HUB_MAIN } from '../cli/replace-process.ts'
import { AGENT_VERSION } from '../version.ts'
import { Child } from './child.ts'
import { ChildrenFile } from './children-file.ts'
import { prepareExampleRelease, SENSORS, type ExampleRelease } from './example-release.ts'
import { listenText } from './free-port.ts'
import { lockHome } from './home-lock.ts'
import { LiveTerminal } from './live-terminal.ts'
import { choosePorts, contextText, deviceName, foldersOf, isEnrolled, type Folders, type Ports, type UpOptions } from './settings.ts'
import { StatusLine } from './status-line.ts'
import { stopRequest, type StopRequest } from './stop-request.ts'
import { whereToLook } from './where-to-look.ts'

const CLAIM_TOKEN_LIFE_MS = 10 * 60_000
/** An agent that says nothing for so long does not answer. */
const ANSWER_MS_MAX = 5000
const STOP_GRACE_MS = { sensors: 3_000, agent: 12_000, hub: 12_000 }

export async function up(call: Call, options: UpOptions): Promise<Exit> {
  const closer = new Closer()
  const terminal = new LiveTerminal(process.stdout, process.env)
  const children: Child[] = []
  const stop = stopRequest(() => {
    for (const child of children) child.kill()
  })
  try {
    const session = new UpSession(call, options, { terminal, closer, children, stop })
    await Promise.race([session.start(), stop.requested])
    if (!stop.isRequested) await session.serve(stop.requested)
    return Exit.ok
  } catch (error) {
    // Whatever failed has told more in its log.
    if (children.length > 0) terminal.print(`cannot go on; logs are in ${foldersOf(call.homePath).logs}`)
    throw error
  } finally {
    terminal.endStatus()
    if (children.length > 0) terminal.print('stopping ...')
    stop.isStopping = true
    await closer.close()
    if (children.length > 0) terminal.print('stopped')
    stop.release()
  }
}

class UpSession {
  readonly #call: Call
  readonly #options: UpOptions
  readonly #terminal: LiveTerminal
  readonly #closer: Closer
  readonly #children: Child[]
  readonly #stop: StopRequest
  readonly #childrenFile: ChildrenFile
  readonly #folders: Folders
  readonly #startedMs = performance.now()

  constructor(call: Call, options: UpOptions, parts: { terminal: LiveTerminal; closer: Closer; children: Child[]; stop: StopRequest }) {
    this.#call = call
    this.#options = options
    this.#terminal = parts.terminal
    this.#closer = parts.closer
    this.#children = parts.children
    this.#stop = parts.stop
    this.#folders = foldersOf(call.homePath)
    this.#childrenFile = new ChildrenFile(call.homePath)
  }

  async start(): Promise<void> {
    const home = this.#call.homePath
    const folders = this.#folders
    const lock = lockHome(home)
    this.#closer.push(() => lock.release())
    makePrivateFolder(folders.logs)
    await this.#childrenFile.waitUntilGone(() => this.#terminal.print('waiting for the processes of the last "dunlin up" to end ...'))
    const ports = await choosePorts(folders, this.#options)
    this.#terminal.print(`dunlin ${AGENT_VERSION}, home ${home}`)
    writeDurably(folders.context, contextText(folders, ports))

    const hub = this.#child('hub', HUB_MAIN, STOP_GRACE_MS.hub, () => this.#hubArguments(ports))
    const agent = this.#child('agent', AGENT_MAIN, STOP_GRACE_MS.agent, () => this.#agentArguments(ports))
    const wasEnrolled = isEnrolled(folders)
    const hubReady = this.#told('hub', `https://${listenText(ports.api)}`, hub.start())
    const trusted = hubReady.then(() => initialiseTrust(this.#call.hub, folders.publisher))
    const agentReady = wasEnrolled ? agent.start() : trusted.then(() => this.#enrol(agent))
    const releaseReady = trusted.then(() => this.#prepareRelease())
    const [, ready, release] = await settledAll([
      trusted,
      this.#told('agent', `MQTT ${listenText(ports.broker)}, HTTP ${listenText(ports.http)}`, agentReady),
      releaseReady,
    ])
    await settledAll([this.#assign(ready, release), this.#startSensors(ports)])
    this.#terminal.print(
      whereToLook({ home, folders, ports, isHomeGiven: this.#call.isHomeGiven, hasExample: this.#options.example !== false }),
    )
  }

  /** Draws the status until it shall stop. */
  async serve(stopped: Promise<void>): Promise<void> {
    const line = new StatusLine()
    const stopping = new AbortController()
    const { signal } = stopping
    void stopped.then(() => stopping.abort())
    while (!signal.aborted) {
      const status = await this.#call.agent.get('/v1/status', AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)])).then(
        (answer) => answer as AgentStatus,
        () => null,
      )
      if (signal.aborted) break
      line.add(status)
      this.#terminal.status(line.text(), (text) => this.#call.printer.paint(line.isOnline ? 'green' : 'yellow', text))
      await sleep(1000, signal).catch(() => {})
    }
  }

  #child(name: string, script: string, graceMs: number, args: () => readonly string[], hasReadyLine = true): Child {
    // What is pushed to a closer that has run would stay.
    if (this.#stop.isRequested || this.#stop.isStopping) throw new ResourceError('stopping', `Cannot start the ${name}: stopping`)
    const child = new Child({
      name,
      script,
      args,
      hasReadyLine,
      logFile: join(this.#folders.logs, `${name}.log`),
      onEvent: (text) => this.#terminal.print(text),
      onSpawn: () => this.#noteChildren(),
    })
    this.#children.push(child)
    this.#closer.push(() => child.stop(graceMs))
    return child
  }

  #noteChildren(): void {
    this.#childrenFile.write(this.#children.flatMap(({ pid }) => (pid === undefined ? [] : [pid])))
  }

  async #told<T>(name: string, where: string, ready: Promise<T>): Promise<T> {
    const result = await ready
    this.#terminal.print(`  ${name.padEnd(8)} ${where}  (${Math.round((performance.now() - this.#startedMs) / 100) / 10} s)`)
    return result
  }

  #hubArguments({ api, gateway }: Ports): string[] {
    const names = [...new Set([api.host, '127.0.0.1', 'localhost'])].filter((host) => !['0.0.0.0', '::'].includes(host))
    return [
      '--data-dir',
      this.#folders.hub,
      '--api-listen',
      listenText(api),
      '--gateway-listen',
      listenText(gateway),
      ...names.flatMap((name) => ['--name', name]),
    ]
  }

  #agentArguments({ broker, http }: Ports): string[] {
    const token = isEnrolled(this.#folders) ? [] : ['--claim-token-file', this.#folders.claimToken]
    const { hub } = this.#call.home.context
    return [
      '--data-dir',
      this.#folders.agent,
      '--name',
      deviceName(),
      '--hub',
      hub!.url,
      '--broker-listen',
      listenText(broker),
      '--http-listen',
      listenText(http),
      ...token,
    ]
  }

  /** The first start: a token that is good once, and the agent uses it. */
  async #enrol(agent: Child): Promise<Record<string, unknown>> {
    const { hub } = this.#call
    const { token } = (await hub.post('/v1/claim-tokens', { uses: 1, expiresInMs: CLAIM_TOKEN_LIFE_MS, label: 'dunlin up' })) as {
      token: string
    }
    writeDurably(this.#folders.claimToken, `${token}\n`)
    this.#closer.push(() => rmSync(this.#folders.claimToken, { force: true }))
    return await agent.start()
  }

  async #prepareRelease(): Promise<ExampleRelease | undefined> {
    if (this.#options.example === false) return undefined
    return await prepareExampleRelease(this.#call.hub, { path: this.#call.homePath, publisher: this.#folders.publisher })
  }

  async #assign(ready: Record<string, unknown>, release: ExampleRelease | undefined): Promise<void> {
    const device = typeof ready['device'] === 'string' ? ready['device'] : await this.#enrolledDevice()
    rmSync(this.#folders.claimToken, { force: true })
    this.#terminal.print(`  device   ${device}`)
    if (!release) return
    await release.assign(device)
    this.#terminal.print(`  example  ${release.functions.map(({ name, version }) => `${name} ${version}`).join(', ')}`)
  }

  /** The agent enrols beside its start. */
  async #enrolledDevice(): Promise<string> {
    for (;;) {
      const { device } = (await this.#call.agent.get('/v1/status')) as AgentStatus
      if (device !== null) return device
      await sleep(100)
    }
  }

  async #startSensors({ broker }: Ports): Promise<void> {
    if (this.#options.example === false) return
    const host = ['0.0.0.0', '::'].includes(broker.host) ? '127.0.0.1' : broker.host
    const sensors = this.#child(
      'sensors',
      SENSORS,
      STOP_GRACE_MS.sensors,
      () => [`mqtt://${listenText({ host, port: broker.port })}`],
      false,
    )
    await sensors.start()
  }
}

/** All, or the first error; the others' errors are not lost to the process as unhandled. */
async function settledAll<T extends readonly Promise<unknown>[]>(
  promises: readonly [...T],
): Promise<{ -readonly [K in keyof T]: Awaited<T[K]> }> {
  for (const promise of promises) promise.catch(() => {})
  return (await Promise.all(promises)) as { -readonly [K in keyof T]: Awaited<T[K]> }
}

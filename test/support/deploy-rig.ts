/** A device's deployer against a real hub with a real publisher; the processor is a small fake that can be told to fail. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Activator, Deployer } from '../../agent/deploy/deployer.ts'
import { openDeployer } from '../../agent/deploy/open-deployer.ts'
import { enrol } from '../../agent/identity/enrol.ts'
import { type Identity, identityDirectory } from '../../agent/identity/identity.ts'
import type { WatchRule } from '../../agent/deploy/watch-rule.ts'
import type { Publisher } from '../../agent/publisher/publisher.ts'
import type { Route } from '../../config/routes.ts'
import type { Reported } from '../../config/wire.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { call, claimToken, initialiseTrust, publish, removeFolder, startHub, type TestHub } from './hub.ts'

type Teardown = { teardown(fn: () => unknown): void }

export class FakeProcessor implements Activator {
  /** `name version` of what runs. */
  readonly running = new Map<string, { version: number; directory: string }>()
  readonly routes = new Map<string, readonly Route[] | undefined>()
  readonly log: string[] = []
  /** `name version` -> why it does not start. */
  readonly failing = new Map<string, string>()

  async activate(name: string, version: number, directory: string): Promise<void> {
    this.log.push(`+${name} ${version}`)
    const reason = this.failing.get(`${name} ${version}`)
    this.running.delete(name)
    if (reason) throw new Error(reason)
    this.running.set(name, { version, directory })
  }

  async deactivate(name: string): Promise<void> {
    this.log.push(`-${name}`)
    for (const running of this.running.keys()) if (running === name || running.startsWith(`${name}@`)) this.running.delete(running)
  }

  async route(name: string, routes: readonly Route[] | undefined): Promise<void> {
    this.routes.set(name, routes)
  }

  async gather(): Promise<number> {
    return 0
  }
}

export interface DeployRig {
  readonly dataDir: string
  readonly hub: TestHub
  readonly publisher: Publisher
  readonly identity: Identity
  readonly processor: FakeProcessor
  deployer: Deployer
  desire(...functions: [name: string, version: number, disabled?: boolean][]): Promise<void>
  /** Resolves when `condition` holds for what the deployer reports. */
  until(condition: (functions: Reported['functions']) => boolean): Promise<void>
  /** Publishes a version with these files. */
  publish(name: string, version: number, files?: Record<string, string>): Promise<void>
  /** As a new start of the agent: a new deployer and processor on the same data. */
  restart(): Promise<void>
}

export async function openDeployRig(t: Teardown, options: { hubDir?: string; watchRule?: WatchRule } = {}): Promise<DeployRig> {
  const dataDir = mkdtempSync(path.join(tmpdir(), 'dunlin-device-'))
  const hub = await startHub({ dataDir: options.hubDir })
  t.teardown(async () => {
    await hub.stop()
    rmSync(dataDir, { recursive: true, force: true })
    removeFolder(hub.dataDir)
  })
  const publisher = await initialiseTrust(hub)
  const identity = await enrol({ hubUrl: hub.url, claimToken: await claimToken(hub), name: 'board-1', dir: identityDirectory(dataDir) })
  let revision = 0
  let waiting: (() => void)[] = []
  const onChange = () => {
    const resolves = waiting
    waiting = []
    for (const resolve of resolves) resolve()
  }
  const open = async (processor: FakeProcessor) =>
    openDeployer({
      dataDir,
      identity,
      activator: processor,
      watchRule: options.watchRule,
      logger: silentLogger,
      onChange,
      probationMs: 20,
      backoff: { firstMs: 20, maxMs: 100 },
    })
  const rig: DeployRig = {
    dataDir,
    hub,
    publisher,
    identity,
    processor: new FakeProcessor(),
    deployer: undefined as never,
    desire: (...functions) =>
      rig.deployer.apply({
        revision: ++revision,
        functions: functions.map(([name, version, disabled = false]) => ({ name, version, disabled })),
        hubTimeMs: 0,
      }),
    until: async (condition) => {
      while (!condition(rig.deployer.functions)) await new Promise<void>((resolve) => waiting.push(resolve))
    },
    publish: async (name, version, files) => {
      const answer = await publish(
        hub,
        publisher,
        name,
        version,
        files ?? { 'function.yaml': `# ${name} ${version}\n`, 'main.js': `export const version = ${version}\n` },
      )
      if (answer.status >= 300) throw new Error(`Not published: ${answer.bytes}`)
    },
    restart: async () => {
      await rig.deployer.close()
      rig.processor.running.clear()
      rig.processor.log.length = 0
      rig.deployer = await open(rig.processor)
      rig.deployer.start()
    },
  }
  rig.deployer = await open(rig.processor)
  rig.deployer.start()
  t.teardown(() => rig.deployer.close())
  return rig
}

export function isCommitted(name: string, version: number): (functions: Reported['functions']) => boolean {
  return (functions) => functions.some((fn) => fn.name === name && fn.version === version && fn.state === 'committed' && fn.ready)
}

export function isRolledBack(name: string, version: number): (functions: Reported['functions']) => boolean {
  return (functions) => functions.some((fn) => fn.name === name && fn.version === version && fn.state === 'rolledback')
}

export { call }

/**
 * What exists only because the device belongs to a hub: enrolment, the link, deployments, the export of streams, reports and
 * logs. A device without a hub runs all the same.
 *
 *   none -> enrolling (tried again until it works) -> enrolled
 */
import { hostname } from 'node:os'
import { readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import type { AgentConfig } from '../config/agent-config.ts'
import { parseFunctionConfig } from '../config/function-config.ts'
import { PRODUCTION, readSlot, slotName } from '../config/routes.ts'
import type { BundleManifest, Reported } from '../config/wire.ts'
import { fullJitterMs, sleep } from '../runtime/base/backoff.ts'
import { Closer } from '../runtime/base/closer.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { codeOf, describeError, DunlinError, InputError } from '../runtime/base/errors.ts'
import type { Logger } from '../runtime/base/log.ts'
import type { Processor } from '../runtime/processor.ts'
import type { Store } from '../runtime/store/store.ts'
import type { FunctionVersion } from '../runtime/workers/worker.ts'
import type { WorkerEnded } from '../runtime/workers/worker-pool.ts'
import type { Activator, Deployer } from './deploy/deployer.ts'
import { openDeployer } from './deploy/open-deployer.ts'
import { CrashLoops } from './telemetry/crash-loops.ts'
import { ExportPump, type ExportStats } from './export/export-pump.ts'
import { enrol } from './identity/enrol.ts'
import { identityDirectory, type Identity } from './identity/identity.ts'
import { HubLink, type LinkState } from './link/hub-link.ts'
import { ReportedState } from './link/reported-state.ts'
import type { LogBook } from './telemetry/log-book.ts'
import { takeInventory } from './telemetry/inventory.ts'
import { LogShipper } from './telemetry/log-shipper.ts'
import { AGENT_VERSION } from './version.ts'

const ENROL_RETRY = { firstMs: 500, maxMs: 60_000 }
/** Whether there is another claim token. */
const TOKEN_LOOK_MS = 2_000
/** Stopping a function that is not desired any more. */
const DEACTIVATE_MS = 5_000

export interface HubSideOptions {
  readonly config: AgentConfig
  readonly store: Store
  readonly clock: Clock
  readonly processor: Processor
  readonly logBook: LogBook
  readonly logger: Logger
  readonly startedMs: number
}

export class HubSide {
  readonly #options: HubSideOptions
  readonly #closer = new Closer()
  readonly #stopping = new AbortController()
  /** Streams with rows that the pump has not been told of, and whether it will be in this turn. */
  readonly #rowsIn = new Set<number>()
  #isTelling = false
  #identity: Identity | undefined
  #link: HubLink | undefined
  #deployer: Deployer | undefined
  #pump: ExportPump | undefined
  #reported: ReportedState | undefined
  #shipper: LogShipper | undefined
  #enrolling: Promise<void> | undefined
  #enrolProblem: string | undefined
  #inventory: Reported['facts'] = {}
  #isBooting = true
  readonly #crashLoops: CrashLoops

  constructor(options: HubSideOptions) {
    this.#options = options
    this.#crashLoops = new CrashLoops({ status: () => options.processor.status(), onChange: () => this.#reported?.changed() })
    this.#closer.push(async () => this.#crashLoops.close())
  }

  get device(): string | null {
    return this.#identity?.device ?? null
  }

  get url(): string | null {
    return this.#identity?.hubUrl ?? this.#options.config.hub.url
  }

  get linkState(): LinkState | { readonly name: 'none' } | { readonly name: 'enrolling'; readonly error: string | undefined } {
    if (this.#link) return this.#link.state
    return this.#enrolling ? { name: 'enrolling', error: this.#enrolProblem } : { name: 'none' }
  }

  get exportStats(): ExportStats | undefined {
    return this.#pump?.stats
  }

  get deployments(): Reported['functions'] {
    return this.#deployer?.functions ?? []
  }

  /** Streams of earlier starts are known before the first event. */
  async openStreams(): Promise<void> {
    const { store, processor } = this.#options
    for (const { name } of (await store.ledger()).streams) await processor.streams.open(name)
  }

  addStream(id: number, name: string): void {
    void this.#addStream(id, name)
  }

  /** Rows were committed. Called for each event: the pump is told once in a turn of the event loop. */
  onRows(streams: ReadonlySet<number>): void {
    if (!this.#pump) return
    for (const stream of streams) this.#rowsIn.add(stream)
    if (this.#isTelling) return
    this.#isTelling = true
    setImmediate(() => {
      this.#isTelling = false
      for (const stream of this.#rowsIn) this.#pump?.notify(stream)
      this.#rowsIn.clear()
    })
  }

  /** A worker ended by itself: a version on probation is rolled back, and one that was committed lately when it goes on like that. */
  workerEnded({ config, version }: FunctionVersion, { error, running, failures, worker, isCrashLoop }: WorkerEnded, alias: string): void {
    const slot = slotName(config.name, alias)
    const isItself = running === 0
    // One event that ends its worker says nothing about the version; that goes to the dead letters.
    if (isItself || isCrashLoop) this.#deployer?.versionFailed(slot, Number(version), error)
    if (isItself || failures > config.maxAttempts) this.#deployer?.workerEnded(slot, Number(version), worker, error)
    if (isCrashLoop) this.#crashLoops.look()
  }

  /** What waits for aliases that are no more goes to production; resolves with how much it was. */
  async gather(): Promise<number> {
    const { processor } = this.#options
    if (this.#deployer) return this.#deployer.gather()
    const moved = await Promise.all(processor.status().map(({ name }) => processor.gather(name, new Set())))
    return moved.reduce((sum, events) => sum + events, 0)
  }

  /** Makes the parts of an enrolled device, and starts its committed functions from disk. Uses no network. */
  async belongTo(identity: Identity): Promise<void> {
    const { config, store, logger, logBook } = this.#options
    this.#identity = identity
    const { device } = identity
    this.#deployer = await openDeployer({
      dataDir: config.dataDir,
      identity,
      activator: this.#activator(),
      logger: logger.child({ part: 'deploy' }),
      onChange: () => this.#reported?.changed(),
    })
    this.#closer.push(() => this.#deployer!.close())
    this.#link = new HubLink({ identity, logger: logger.child({ part: 'link' }) })
    this.#reported = new ReportedState({ link: this.#link, device, collect: () => this.#report(), logger })
    this.#pump = new ExportPump({
      store,
      link: this.#link,
      device,
      logger: logger.child({ part: 'export' }),
      settings: {
        inFlightFramesMax: config.export.inFlight,
        batchRowsMax: config.export.batchRows,
        batchBytesMax: config.export.batchBytes,
        backlogRowsPerSecond: config.export.backlogRowsPerSecond,
        liveShare: config.export.liveShare,
      },
    })
    this.#shipper = new LogShipper({ link: this.#link, device, book: logBook, logger })
    for (const { name } of (await store.ledger()).streams) {
      const id = this.#options.processor.streams.idOf(name)
      if (id !== undefined) await this.#addStream(id, name)
    }
  }

  /** The network's turn: connects, or enrols first. Returns at once. */
  start(): void {
    this.#isBooting = false
    if (this.#link) return this.#connect()
    const { hub } = this.#options.config
    if (hub.url === null) return
    this.#enrolling = this.#enrol(hub.url).catch((error: unknown) => {
      if (!this.#stopping.signal.aborted) this.#options.logger.error({ error: describeError(error) }, 'enrolment ended')
    })
  }

  /** Runs until everything that waits has been told or the link is gone; closes in reverse order. */
  async close(): Promise<void> {
    this.#stopping.abort(new DunlinError('agent-stopping', 'The agent stops'))
    await this.#enrolling
    await this.#closer.close()
  }

  #connect(): void {
    const link = this.#link!
    link.listen({
      onDesired: (desired) => {
        this.#options.clock.hubSaid(desired.hubTimeMs)
        this.#deployer!.apply(desired).catch((error: unknown) => {
          this.#options.logger.error({ error: describeError(error) }, 'cannot keep the desired state')
        })
      },
    })
    this.#pump!.start()
    this.#reported!.start()
    this.#shipper!.start()
    this.#closer.push(() => this.#shipper!.close())
    this.#closer.push(() => this.#reported!.close())
    this.#closer.push(() => this.#pump!.close())
    this.#deployer!.start()
    link.start()
    void takeInventory().then((facts) => {
      this.#inventory = facts
      this.#reported?.changed()
    })
    this.#closer.push(() => link.close())
  }

  /** Until it works. The network's faults are tried again by themselves; after a refusal only another token is tried. */
  async #enrol(hubUrl: string): Promise<void> {
    const { signal } = this.#stopping
    let refused: string | undefined
    for (let attempt = 1; ; attempt++) {
      const claimToken = await this.#claimToken().catch((error: unknown) => this.#cannotEnrol(error, TOKEN_LOOK_MS))
      if (claimToken !== undefined && claimToken !== refused) {
        try {
          return await this.#enrolWith(hubUrl, claimToken)
        } catch (error) {
          const isRetryable = error instanceof DunlinError && error.retryable
          if (!isRetryable) refused = claimToken
          const waitMs = isRetryable ? fullJitterMs(attempt, ENROL_RETRY) : TOKEN_LOOK_MS
          this.#cannotEnrol(error, waitMs)
          await sleep(waitMs, signal)
        }
      } else await sleep(TOKEN_LOOK_MS, signal)
    }
  }

  async #enrolWith(hubUrl: string, claimToken: string): Promise<void> {
    const { config, logger } = this.#options
    const name = config.name ?? hostname().toLowerCase()
    const dir = identityDirectory(config.dataDir)
    const identity = await enrol({ hubUrl, claimToken, name, dir, facts: factsOf(), signal: this.#stopping.signal })
    logger.info({ device: identity.device, hub: hubUrl }, 'enrolled')
    if (config.hub.claimTokenFile !== null) await rm(config.hub.claimTokenFile, { force: true })
    await this.belongTo(identity)
    this.#connect()
  }

  /** Said once for each reason; the status tells it as long as it holds. */
  #cannotEnrol(error: unknown, nextMs: number): undefined {
    const problem = describeError(error)
    if (problem === this.#enrolProblem) return
    this.#enrolProblem = problem
    this.#options.logger.warn(
      { code: codeOf(error), error: problem, nextTryInMs: nextMs },
      'cannot enrol yet; the device runs without a hub',
    )
  }

  async #claimToken(): Promise<string> {
    const { claimToken, claimTokenFile } = this.#options.config.hub
    if (claimToken !== null) return claimToken
    if (claimTokenFile === null) {
      throw new InputError('claim-token-missing', 'Cannot enrol: there is no claim token', {
        hint: 'set hub.claimTokenFile; the hub makes one',
      })
    }
    return (await readFile(claimTokenFile, 'utf8')).trim()
  }

  #activator(): Activator {
    const { processor } = this.#options
    return {
      activate: async (slot, version, directory, manifest) => {
        const { name, alias } = readSlot(slot)
        const found = await readVersion(name, version, directory, manifest)
        for (const notice of found.config.notices) this.#options.logger.info({ function: name, version, notice }, 'function.yaml')
        await (this.#isBooting ? processor.adopt(found, alias) : processor.activate(found, alias))
      },
      deactivate: (slot) => {
        const { name, alias } = readSlot(slot)
        return processor.deactivate(name, DEACTIVATE_MS, alias === PRODUCTION ? undefined : alias)
      },
      route: (name, routes) => processor.setHubRoutes(name, routes),
      gather: (name, aliases) => processor.gather(name, aliases),
    }
  }

  async #addStream(id: number, name: string): Promise<void> {
    const row = (await this.#options.store.ledger()).streams.find((stream) => stream.name === name)
    if (row) this.#pump?.addStream(id, name, row.epoch)
  }

  async #report(): Promise<Reported> {
    const { store, startedMs } = this.#options
    const { streams } = await store.ledger()
    return {
      revision: this.#deployer!.revision,
      agent: { version: AGENT_VERSION, boot: store.boot, startedMs },
      functions: this.#crashLoops.mark(this.#deployer!.functions),
      streams: streams.map(({ name, epoch, lastSeq, waiting, firstWaiting }) => ({ name, epoch, lastSeq, waiting, firstWaiting })),
      facts: { ...factsOf(), ...this.#inventory },
    }
  }
}

async function readVersion(name: string, version: number, directory: string, manifest: BundleManifest): Promise<FunctionVersion> {
  const text = await readFile(path.join(directory, manifest.config), 'utf8')
  const config = parseFunctionConfig(text, `${name}/${manifest.config}`)
  if (config.name !== name) throw new InputError('function-name', `Cannot start ${name}: its ${manifest.config} names it "${config.name}"`)
  return { config, version: String(version), directory }
}

function factsOf(): Reported['facts'] {
  return { os: process.platform, arch: process.arch, node: process.versions.node, agent: AGENT_VERSION, host: hostname() }
}

import type { TriggerConfig } from '../../config/function-config.ts'
import { InputError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { failedAnswer, type Reply } from '../dispatch/delivery.ts'
import { Pipeline, type PipelineCounters, type PipelineParts, type PipelineSettings } from '../dispatch/pipeline.ts'
import { StateCache } from '../dispatch/state-cache.ts'
import type { EventWriter } from '../event/event-writer.ts'
import type { FunctionVersion, WorkerHost } from '../workers/worker.ts'
import type { PoolConsumer, WorkerPool } from '../workers/worker-pool.ts'
import { makePools } from './function-pools.ts'
import type { MakeTrigger, Trigger } from './trigger.ts'

/** Running events get this long to end when a version is replaced or the agent stops. */
export const DRAIN_MS = 2_000

export interface FunctionParts extends PipelineParts {
  readonly events: EventWriter
  readonly makeTrigger: MakeTrigger
  readonly call: WorkerHost['call']
  readonly log: (functionName: string, level: number, message: string, fields: string) => void
  readonly onWorkerEnded: (version: FunctionVersion, error: Error) => void
}

export interface FunctionStatus {
  readonly name: string
  readonly version: string
  readonly runtime: string
  readonly ready: boolean
  readonly workers: { readonly ready: number; readonly wanted: number; readonly restarts: number; readonly inFlight: number }
  readonly triggers: readonly ({ readonly name: string; readonly kind: string; readonly waiting: number } & PipelineCounters)[]
  readonly error: string | undefined
}

/** A trigger with its pipeline: both outlive versions of the function, so that no event falls between two versions. */
interface Line {
  readonly pipeline: Pipeline
  config: TriggerConfig
  trigger: Trigger | undefined
  pool: WorkerPool | undefined
}

/**
 * One function on this device. A new version's workers are started and ready before anything is taken from the old one; then
 * events are held back until the old version's running ones have ended, and the new workers go on from there.
 */
export class FunctionHost {
  readonly name: string
  readonly #parts: FunctionParts
  readonly #logger: Logger
  readonly #lines = new Map<string, Line>()
  #state: StateCache | undefined
  #current: FunctionVersion | undefined
  #workersMade = 0

  constructor(name: string, parts: FunctionParts) {
    this.name = name
    this.#parts = parts
    this.#logger = parts.logger.child({ function: name })
  }

  get current(): FunctionVersion | undefined {
    return this.#current
  }

  /** Rejects when the workers do not become ready; then nothing has changed. */
  async activate(version: FunctionVersion): Promise<void> {
    const pools = await this.#makePools(version, async (pool) => pool.start())
    await this.#switchTo(version, pools)
  }

  /** At start: the triggers listen at once, the workers come up behind them and are retried. Events wait on disk meanwhile. */
  async adopt(version: FunctionVersion): Promise<void> {
    const pools = await this.#makePools(version, async (pool) => pool.startInBackground())
    await this.#switchTo(version, pools)
  }

  async #makePools(version: FunctionVersion, start: (pool: WorkerPool) => Promise<void>): Promise<Map<string, WorkerPool>> {
    const { config } = version
    this.#state ??= new StateCache(this.#parts.store, await this.#parts.store.openFunction(this.name))
    const consumers = new Map<string, PoolConsumer>()
    for (const trigger of config.triggers) consumers.set(trigger.name, (await this.#line(trigger, version)).pipeline)
    const pools = await makePools(version, consumers, this.#state, this.#workersMade, this.#logger, this.#parts)
    for (const pool of pools.values()) this.#workersMade += pool.size
    try {
      await Promise.all([...pools.values()].map(start))
    } catch (error) {
      await Promise.all([...pools.values()].map((pool) => pool.stop(0)))
      await this.#dropUnusedLines()
      throw error
    }
    return pools
  }

  async #line(config: TriggerConfig, version: FunctionVersion): Promise<Line> {
    const known = this.#lines.get(config.name)
    if (known) return known
    const source = await this.#parts.store.openSource(`${this.name}/${config.name}`)
    const pipeline = new Pipeline(source, settingsOf(version, config), this.#state!, this.#parts)
    const line: Line = { pipeline, config, trigger: undefined, pool: undefined }
    this.#lines.set(config.name, line)
    return line
  }

  async #switchTo(version: FunctionVersion, pools: Map<string, WorkerPool>): Promise<void> {
    const old: WorkerPool[] = []
    for (const line of this.#lines.values()) if (line.pool) old.push(line.pool)
    await Promise.all([...this.#lines.values()].map((line) => withinMs(line.pipeline.pause(), DRAIN_MS)))
    // Those that did not end in time are lost to the old workers and given to the new ones.
    await Promise.all(old.map((pool) => pool.stop(0)))
    this.#current = version
    for (const [name, line] of this.#lines) {
      const config = version.config.triggers.find((trigger) => trigger.name === name)
      const pool = pools.get(name)
      if (!config || !pool) {
        await line.trigger?.stop()
        line.pipeline.close()
        this.#lines.delete(name)
        continue
      }
      line.pool = pool
      line.pipeline.resume(pool, settingsOf(version, config))
      await this.#listen(line, config)
    }
  }

  /** The broker's old subscription goes only when the new one is there. Other kinds hold a port, a folder or a clock that two cannot share. */
  async #listen(line: Line, config: TriggerConfig): Promise<void> {
    const before = line.trigger
    // A kickstart has something to do for each version.
    if (before && config.kind !== 'kickstart' && JSON.stringify(line.config) === JSON.stringify(config)) return
    const { pipeline } = line
    const next = await this.#parts.makeTrigger(config, {
      functionName: this.name,
      version: this.#current!.version,
      logger: this.#logger.child({ trigger: config.name }),
      sink: {
        events: this.#parts.events,
        accept: (record, done) => pipeline.accept(record, done),
        invoke: (record, reply) => pipeline.invoke(record, reply),
        isBusy: () => pipeline.isBusy,
      },
    })
    if (config.kind !== 'mqtt') await before?.stop()
    await next.start()
    if (config.kind === 'mqtt') await before?.stop()
    line.trigger = next
    line.config = config
  }

  async #dropUnusedLines(): Promise<void> {
    for (const [name, line] of this.#lines) {
      if (line.pool) continue
      line.pipeline.close()
      this.#lines.delete(name)
    }
  }

  /** A direct call, as from the trigger of this name or kind; without one, as from the http trigger, else from the first. */
  invoke(record: Buffer, reply: Reply, trigger?: string): void {
    const lines = [...this.#lines.values()]
    if (lines.length === 0) return reply(failedAnswer(503, `Function ${this.name} is not running`))
    const line =
      trigger === undefined
        ? (lines.find(({ config }) => config.kind === 'http') ?? lines[0])
        : (this.#lines.get(trigger) ?? lines.find(({ config }) => config.kind === trigger))
    if (line) return line.pipeline.invoke(record, reply)
    const known = lines.map(({ config }) => `${config.name} (${config.kind})`).join(', ')
    reply(failedAnswer(404, `Function ${this.name} has no trigger "${trigger}"; it has: ${known}`))
  }

  /** A dead letter or other inbox row that is to be tried again. */
  requeue(source: number, record: Buffer, inboxId: number): boolean {
    for (const { pipeline } of this.#lines.values()) {
      if (pipeline.source !== source) continue
      pipeline.requeue(record, inboxId)
      return true
    }
    return false
  }

  /** Takes no new events, lets running ones end within `graceMs`; the rest stays in the inbox. */
  async stop(graceMs: number): Promise<void> {
    const lines = [...this.#lines.values()]
    await Promise.all(lines.map(async (line) => line.trigger?.stop()))
    await Promise.all(lines.map((line) => withinMs(line.pipeline.pause(), graceMs)))
    for (const { pipeline } of lines) pipeline.close()
    await Promise.all(lines.map(async (line) => line.pool?.stop(graceMs)))
    this.#lines.clear()
  }

  status(): FunctionStatus {
    if (!this.#current) throw new InputError('function-not-active', `Function ${this.name} has no active version`)
    const { config, version } = this.#current
    const lines = [...this.#lines.values()]
    const sum = (pick: (pool: WorkerPool) => number) => lines.reduce((total, line) => total + (line.pool ? pick(line.pool) : 0), 0)
    const workers = {
      ready: sum((p) => p.readyCount),
      wanted: sum((p) => p.size),
      restarts: sum((p) => p.restarts),
      inFlight: sum((p) => p.inFlight),
    }
    return {
      name: this.name,
      version,
      runtime: config.runtime,
      ready: workers.ready === workers.wanted,
      workers,
      triggers: lines.map(({ config: trigger, pipeline }) => ({
        name: trigger.name,
        kind: trigger.kind,
        waiting: pipeline.waiting,
        ...pipeline.counters,
      })),
      error: lines.find((line) => line.pool?.lastError)?.pool?.lastError?.message,
    }
  }
}

function settingsOf({ config, version }: FunctionVersion, trigger: TriggerConfig): PipelineSettings {
  return {
    maxAttempts: config.maxAttempts,
    retryFirstMs: config.retryFirstMs,
    retryMaxMs: config.retryMaxMs,
    workerAvailabilityTimeoutMs: trigger.workerAvailabilityTimeoutMs,
    orderKey: trigger.orderKey,
    functionName: config.name,
    version,
    outputStream: config.outputStream,
  }
}

/** Waits for `promise`, at most `ms`. */
async function withinMs(promise: Promise<void>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>()
  const timer = setTimeout(late.resolve, ms)
  await Promise.race([promise, late.promise])
  clearTimeout(timer)
}

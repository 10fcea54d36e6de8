import type { FunctionConfig, TriggerConfig } from '../../config/function-config.ts'
import { PRODUCTION, slotName } from '../../config/routes.ts'
import type { Logger } from '../base/log.ts'
import { Pipeline, type PipelineCounters, type PipelineParts, type PipelineSettings } from '../dispatch/pipeline.ts'
import { StateCache } from '../dispatch/state-cache.ts'
import { HeadWriter } from '../event/head.ts'
import { Tag } from '../event/record.ts'
import type { FunctionVersion } from '../workers/worker.ts'
import { sumOf, type PoolStatus } from '../workers/pool-status.ts'
import type { PoolConsumer, WorkerPool } from '../workers/worker-pool.ts'
import { makePools, type PoolParts } from './function-pools.ts'

/** Running events get this long to end when a version is replaced or the agent stops. */
export const DRAIN_MS = 2_000

export type Pools = ReadonlyMap<string, WorkerPool>

export interface TriggerStatus extends PipelineCounters {
  readonly name: string
  readonly kind: string
  readonly waiting: number
  /** Of a trigger whose source may be away; production's only, because triggers belong to the function. */
  readonly connection?: string
}

/** What there is to tell of one alias. */
export interface AliasStatus {
  readonly version: string
  readonly runtime: string
  readonly ready: boolean
  /** Of all pools together. */
  readonly workers: PoolStatus
  readonly triggers: readonly TriggerStatus[]
  readonly error: string | undefined
}

/** Where the events of a trigger wait for an alias. Production's have the trigger's own name, as when there were no aliases. */
export function sourceName(functionName: string, alias: string, trigger: string): string {
  return slotName(`${functionName}/${trigger}`, alias)
}

/** A trigger's events for this alias. It outlives versions, so that no event falls between two. */
interface Line {
  readonly pipeline: Pipeline
  config: TriggerConfig
  pool: WorkerPool | undefined
}

/**
 * One alias of a function: one version, its workers, and for each of its triggers an inbox and an order of its own. So an alias
 * that is blocked, or whose workers keep ending, holds back nobody else's events. Aliases other than production have a state of
 * their own: a version under test cannot spoil what production remembers.
 *
 * A new version's workers are started and ready before anything is taken from the old one; then events are held back until the
 * old version's running ones have ended, and the new workers go on from there.
 */
export class AliasHost {
  readonly alias: string
  readonly #functionName: string
  readonly #parts: PipelineParts & PoolParts
  readonly #logger: Logger
  readonly #lines = new Map<string, Line>()
  #state: StateCache | undefined
  #current: FunctionVersion | undefined
  /** What tells a row of a version under test from production's; production's have none. */
  #label: Buffer | undefined
  #workersMade = 0

  constructor(functionName: string, alias: string, parts: PipelineParts & PoolParts) {
    this.alias = alias
    this.#functionName = functionName
    this.#parts = { ...parts, label: () => this.#label }
    this.#logger = parts.logger.child({ function: functionName, ...(alias === PRODUCTION ? {} : { alias }) })
  }

  get current(): FunctionVersion | undefined {
    return this.#current
  }

  get config(): FunctionConfig | undefined {
    return this.#current?.config
  }

  pipelineOf(trigger: string): Pipeline | undefined {
    return this.#lines.get(trigger)?.pipeline
  }

  /** Starts a version's workers beside those that run. When they do not become ready, nothing has changed. */
  async prepare(version: FunctionVersion, start: (pool: WorkerPool) => Promise<void>): Promise<Pools> {
    const { config } = version
    this.#state ??= new StateCache(this.#parts.store, await this.#parts.store.openFunction(slotName(this.#functionName, this.alias)))
    const consumers = new Map<string, PoolConsumer>()
    for (const trigger of config.triggers) consumers.set(trigger.name, (await this.#line(trigger, version)).pipeline)
    const pools = await makePools(version, consumers, this.#state, this.#workersMade, this.#logger, this.#parts)
    const made = new Set(pools.values())
    for (const pool of made) this.#workersMade += pool.maxWorkers
    try {
      await Promise.all([...made].map(start))
    } catch (error) {
      await Promise.all([...made].map((pool) => pool.stop(0)))
      this.#dropUnusedLines()
      throw error
    }
    return pools
  }

  /** Events go to these workers from now on. Lines of triggers that the version does not have are closed. */
  async switchTo(version: FunctionVersion, pools: Pools): Promise<void> {
    const old = this.#pools
    await Promise.all([...this.#lines.values()].map((line) => withinMs(line.pipeline.pause(), DRAIN_MS)))
    // Those that did not end in time are lost to the old workers and given to the new ones.
    await Promise.all([...old].map((pool) => pool.stop(0)))
    this.#current = version
    if (this.alias !== PRODUCTION) this.#label = labelOf(this.alias, version.version)
    for (const [name, line] of this.#lines) {
      const config = version.config.triggers.find((trigger) => trigger.name === name)
      const pool = pools.get(name)
      if (config && pool) {
        line.pool = pool
        line.config = config
        line.pipeline.resume(pool, settingsOf(version, config))
      } else {
        line.pipeline.close()
        this.#lines.delete(name)
      }
    }
  }

  /** Lets running events end within `graceMs`; the rest stays in the inbox. */
  async stop(graceMs: number): Promise<void> {
    const lines = [...this.#lines.values()]
    await Promise.all(lines.map((line) => withinMs(line.pipeline.pause(), graceMs)))
    for (const { pipeline } of lines) pipeline.close()
    await Promise.all([...this.#pools].map((pool) => pool.stop(graceMs)))
    this.#lines.clear()
    this.#current = undefined
  }

  status({ config, version }: FunctionVersion): AliasStatus {
    const lines = [...this.#lines.values()]
    const pools = [...this.#pools]
    const workers = sumOf(pools.map((pool) => pool.status))
    return {
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
      error: pools.find((pool) => pool.lastError)?.lastError?.message,
    }
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

  async #line(config: TriggerConfig, version: FunctionVersion): Promise<Line> {
    const known = this.#lines.get(config.name)
    if (known) return known
    const source = await this.#parts.store.openSource(sourceName(this.#functionName, this.alias, config.name))
    const pipeline = new Pipeline(source, settingsOf(version, config), this.#state!, this.#parts)
    const line: Line = { pipeline, config, pool: undefined }
    this.#lines.set(config.name, line)
    return line
  }

  /** Those that run; triggers may share one. */
  get #pools(): Set<WorkerPool> {
    return new Set([...this.#lines.values()].flatMap(({ pool }) => (pool ? [pool] : [])))
  }

  #dropUnusedLines(): void {
    for (const [name, line] of this.#lines) {
      if (line.pool) continue
      line.pipeline.close()
      this.#lines.delete(name)
    }
  }
}

/** Headers of rows in streams; readers of events at the hub see them. */
function labelOf(alias: string, version: string): Buffer {
  const items = new HeadWriter().add(Tag.header, alias, 'dunlin-alias').add(Tag.header, version, 'dunlin-version')
  return Buffer.from(items.bytes())
}

function settingsOf({ config, version }: FunctionVersion, trigger: TriggerConfig): PipelineSettings {
  return {
    maxAttempts: config.maxAttempts,
    retryFirstMs: config.retryFirstMs,
    retryMaxMs: config.retryMaxMs,
    workerAvailabilityTimeoutMs: trigger.workerAvailabilityTimeoutMs,
    orderKey: trigger.orderKey,
    batch: trigger.batch,
    explicitAckMode: trigger.explicitAckMode,
    explicitAckTimeoutMs: trigger.explicitAckTimeoutMs,
    functionName: config.name,
    triggerName: trigger.name,
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

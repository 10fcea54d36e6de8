import type { TriggerConfig } from '../../config/function-config.ts'
import type { Logger } from '../base/log.ts'
import type { StateCache } from '../dispatch/state-cache.ts'
import { defaultLimitBytes, MemoryBudget } from '../workers/memory-budget.ts'
import { runtimes } from '../workers/registry.ts'
import type { FunctionVersion, WorkerHost } from '../workers/worker.ts'
import { WorkerPool, type PoolConsumer, type WorkerEnded } from '../workers/worker-pool.ts'

export interface PoolParts {
  readonly call: WorkerHost['call']
  readonly startLimitMs?: number
  readonly log: (functionName: string, level: number, message: string, fields: string) => void
  readonly onWorkerEnded: (version: FunctionVersion, ended: WorkerEnded) => void
}

/** The pools of one version by trigger, not started; triggers that share one have the same. `consumers`: who takes the results, by trigger. */
export async function makePools(
  version: FunctionVersion,
  consumers: ReadonlyMap<string, PoolConsumer>,
  state: StateCache,
  firstWorkerId: number,
  logger: Logger,
  parts: PoolParts,
): Promise<Map<string, WorkerPool>> {
  const { config } = version
  const runtime = await runtimes[config.runtime]()
  const pools = new Map<string, WorkerPool>()
  const groups = sharing(config.triggers)
  const workersMax = groups.reduce((sum, [first]) => sum + first!.numWorkers, 0)
  const memory = new MemoryBudget(config.memoryLimitBytes ?? defaultLimitBytes(workersMax))
  let nextWorkerId = firstWorkerId
  for (const triggers of groups) {
    const { numWorkers, concurrency, batch, explicitAckMode, pool: settings } = triggers[0]!
    const pool = new WorkerPool({
      runtime,
      ...settings,
      minWorkers: Math.min(settings.minWorkers, numWorkers),
      maxWorkers: numWorkers,
      firstWorkerId: nextWorkerId,
      function: version,
      triggers: triggers.map(({ name, kind }) => ({ name, kind, class: kind === 'http' ? 'sync' : 'async' })),
      concurrency,
      batch: batch !== null,
      explicitAckMode,
      eventTimeoutMs: config.eventTimeoutMs,
      startLimitMs: parts.startLimitMs,
      // Events of several pipelines are not settled in the order in which a worker handled them.
      stateExclusive: config.triggers.length === 1 && numWorkers === 1,
      consumers: triggers.map(({ name }) => consumers.get(name)!),
      memory,
      memoryLimitBytes: config.memoryLimitBytes,
      getState: (key, answer) => state.get(key, answer),
      call: parts.call,
      onEnded: (ended) => parts.onWorkerEnded(version, ended),
      log: (level, message, fields) => parts.log(config.name, level, message, fields),
      logger,
    })
    nextWorkerId += numWorkers
    for (const { name } of triggers) pools.set(name, pool)
  }
  return pools
}

/** Triggers by the pool they name; one that names none has its own. */
function sharing(triggers: readonly TriggerConfig[]): readonly (readonly TriggerConfig[])[] {
  return [...Map.groupBy(triggers, ({ name, pool }) => (pool.name === null ? `trigger ${name}` : `pool ${pool.name}`)).values()]
}

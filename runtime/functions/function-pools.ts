import type { Logger } from '../base/log.ts'
import type { StateCache } from '../dispatch/state-cache.ts'
import { runtimes } from '../workers/registry.ts'
import type { FunctionVersion, WorkerHost } from '../workers/worker.ts'
import { WorkerPool, type PoolConsumer } from '../workers/worker-pool.ts'

export interface PoolParts {
  readonly call: WorkerHost['call']
  readonly log: (functionName: string, level: number, message: string, fields: string) => void
  readonly onWorkerEnded: (version: FunctionVersion, error: Error) => void
}

/** The pools of one version by trigger, not started. `consumers`: who takes the results, by trigger. */
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
  const workers = config.triggers.reduce((sum, trigger) => sum + trigger.numWorkers, 0)
  const pools = new Map<string, WorkerPool>()
  let nextWorkerId = firstWorkerId
  for (const trigger of config.triggers) {
    const pool = new WorkerPool({
      runtime,
      size: trigger.numWorkers,
      firstWorkerId: nextWorkerId,
      function: version,
      triggers: [{ name: trigger.name, kind: trigger.kind, class: trigger.kind === 'http' ? 'sync' : 'async' }],
      batch: trigger.batch !== null,
      explicitAckMode: trigger.explicitAckMode,
      concurrency: trigger.concurrency,
      eventTimeoutMs: config.eventTimeoutMs,
      stateExclusive: workers === 1,
      consumer: consumers.get(trigger.name)!,
      getState: (key, answer) => state.get(key, answer),
      call: parts.call,
      onEnded: (error) => parts.onWorkerEnded(version, error),
      log: (level, message, fields) => parts.log(config.name, level, message, fields),
      logger,
    })
    nextWorkerId += trigger.numWorkers
    pools.set(trigger.name, pool)
  }
  return pools
}

/** A function without triggers is called by `dunlin invoke` and by other functions only. It gets one trigger for them, which does not listen. */
import type { HttpTriggerConfig, TriggerConfig } from '../../config/function-config.ts'
import { RUNTIMES } from '../../config/runtimes.ts'
import type { FunctionVersion } from '../workers/worker.ts'

/** Calls seem to come from a trigger of kind http, as Nuclio's do, which adds one to a function that has none. */
export function callable(version: FunctionVersion): FunctionVersion {
  const { config } = version
  if (config.triggers.length > 0) return version
  return { ...version, config: { ...config, triggers: [callTrigger(RUNTIMES[config.runtime].concurrency)] } }
}

export function listens(trigger: TriggerConfig): boolean {
  return trigger.kind !== 'http' || trigger.paths.length > 0
}

function callTrigger(concurrency: number): HttpTriggerConfig {
  return {
    name: 'calls',
    kind: 'http',
    server: null,
    paths: [],
    methods: null,
    maxRequestBodyBytes: 0,
    cors: null,
    websocket: null,
    cloudEvents: false,
    returnLogs: 'never',
    fileStreamFolder: null,
    numWorkers: 1,
    concurrency,
    pool: { name: null, minWorkers: 1, idleTimeoutMs: 0, prewarm: false, allocation: 'pool' },
    delivery: 'direct',
    orderKey: 'none',
    workerAvailabilityTimeoutMs: 10_000,
    batch: null,
    explicitAckMode: 'disable',
    explicitAckTimeoutMs: 60_000,
    annotations: {},
  }
}

/** A function without triggers is called by `dunlin invoke` and by other functions only. It gets one trigger for them, which does not listen. */
import { parseFunctionConfig, type FunctionConfig, type HttpTriggerConfig, type TriggerConfig } from '../../config/function-config.ts'
import type { FunctionVersion } from '../workers/worker.ts'

/** Calls seem to come from a trigger of kind http, as Nuclio's do, which adds one to a function that has none. */
export function callable(version: FunctionVersion): FunctionVersion {
  const { config } = version
  if (config.triggers.length > 0) return version
  return { ...version, config: { ...config, triggers: [callTrigger(config)] } }
}

export function listens(trigger: TriggerConfig): boolean {
  return trigger.kind !== 'http' || trigger.paths.length > 0
}

/** What function.yaml gives to `calls: { kind: http }`, without a path. */
function callTrigger({ name, runtime, handler, isolation, runtimeAttributes }: FunctionConfig): TriggerConfig {
  const spec = { runtime, handler, isolation, runtimeAttributes, triggers: { calls: { kind: 'http' } } }
  const [trigger] = parseFunctionConfig(JSON.stringify({ metadata: { name }, spec }), 'calls').triggers
  return { ...(trigger as HttpTriggerConfig), paths: [] }
}

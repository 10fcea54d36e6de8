import type { FunctionConfig, RuntimeKind } from '../../config/function-config.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { DebugOptions } from '../../runtime/workers/worker.ts'

/** No handler is given up while somebody looks at it. */
const EVENT_TIMEOUT_MS = 24 * 3_600_000

/** Where a runtime's debuggers connect by default. */
export const DEBUG_PORTS: Readonly<Partial<Record<RuntimeKind, number>>> = { nodejs: 9229, python: 5678, java: 5005 }

export interface DebugRequest {
  /** null: the runtime's usual one. */
  readonly port: number | null
  /** The worker waits for the debugger before it loads the handler. */
  readonly isWaiting: boolean
}

/** The function as it runs under a debugger: one worker, in a process of its own, one event at a time, without a time-out. */
export function debugged(config: FunctionConfig, { port, isWaiting }: DebugRequest): { config: FunctionConfig; debug: DebugOptions } {
  const usual = DEBUG_PORTS[config.runtime]
  if (usual === undefined) {
    throw new InputError('debug-runtime', `Cannot debug ${config.name}: there is no debugger for runtime ${config.runtime}`, {
      hint: `there is for ${Object.keys(DEBUG_PORTS).join(', ')}`,
    })
  }
  const triggers = config.triggers.map((trigger) => ({ ...trigger, numWorkers: 1, concurrency: 1 }))
  return {
    config: { ...config, triggers, isolation: 'process', eventTimeoutMs: EVENT_TIMEOUT_MS },
    debug: { host: '127.0.0.1', port: port ?? usual, isWaiting },
  }
}

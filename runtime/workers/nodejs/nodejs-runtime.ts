import { RingWorker } from '../ring-worker.ts'
import type { Runtime } from '../worker.ts'
import { spawnProcess } from './spawn-process.ts'
import { spawnThread } from './spawn-thread.ts'

/** JavaScript and TypeScript handlers: in worker threads of the agent, or with `isolation: process` in a Node of their own. */
export const nodejsRuntime: Runtime = {
  createWorker: (options) =>
    new RingWorker(options, () => (options.function.config.isolation === 'process' ? spawnProcess(options) : spawnThread(options))),
}

import { fileURLToPath } from 'node:url'
import { ownModule } from '../../base/own-module.ts'
import { spawnGuest } from '../guest-process.ts'
import { RingWorker } from '../ring-worker.ts'
import type { Runtime, WorkerOptions } from '../worker.ts'

/** Shared libraries with the ABI of runtime/native/dunlin.h, each in a host process of its own, over the shared-memory ring. */
export const nativeRuntime: Runtime = {
  createWorker: (options) =>
    new RingWorker(options, () =>
      spawnGuest(options, {
        command: process.execPath,
        args: [...HOST_OPTIONS, fileURLToPath(ownModule(import.meta.url, '../../native/host-process')), String(memoryLimitOf(options))],
        notFound: 'the Node that runs the agent is gone: install it again',
      }),
    ),
}

/** The kernel holds a library to it at once; what a pool's workers use together is looked at now and then. */
function memoryLimitOf({ function: { config }, memoryLimitBytes }: WorkerOptions): number {
  return Math.min(Number(config.runtimeAttributes['memoryLimit']), memoryLimitBytes ?? Number.POSITIVE_INFINITY)
}

/** The host's own JavaScript is small and the same for every event: little heap, and no threads to compile it. */
export const HOST_OPTIONS = [
  '--disable-warning=ExperimentalWarning',
  '--max-old-space-size=64',
  '--max-semi-space-size=1',
  '--v8-pool-size=1',
] as const

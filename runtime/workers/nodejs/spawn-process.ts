import { fileURLToPath } from 'node:url'
import { ownModule } from '../../base/own-module.ts'
import { spawnGuest } from '../guest-process.ts'
import type { GuestHandle } from '../ring-worker.ts'
import type { DebugOptions, WorkerOptions } from '../worker.ts'
import { heapMbMax, heapTooLarge } from './heap.ts'

/** A Node of its own (isolation I2): a leak of Buffers, a crash in native code or process.kill costs this worker only. */
export function spawnProcess(options: WorkerOptions): Promise<GuestHandle> {
  return spawnGuest(options, {
    command: process.execPath,
    args: [
      ...inspectArguments(options.function.debug),
      `--max-old-space-size=${heapMbMax(options)}`,
      '--disable-warning=ExperimentalWarning',
      fileURLToPath(ownModule(import.meta.url, './process-guest')),
    ],
    notFound: 'the Node that runs the agent is gone: install it again',
    reasonIn: (line) => (line.includes('JavaScript heap out of memory') ? heapTooLarge(options) : undefined),
  })
}

function inspectArguments(debug: DebugOptions | undefined): string[] {
  return debug ? [`--inspect${debug.isWaiting ? '-wait' : ''}=${debug.host}:${debug.port}`, '--inspect-publish-uid=http'] : []
}

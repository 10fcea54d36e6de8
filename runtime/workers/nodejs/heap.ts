import type { WorkerOptions } from '../worker.ts'

const MiB = 1024 * 1024
/** JavaScript heap of one worker of a function without a limit of its own. Buffers are not in it; MemoryBudget counts them too. */
const HEAP_MB_DEFAULT = 128

export function heapMbMax({ memoryLimitBytes }: Pick<WorkerOptions, 'memoryLimitBytes'>): number {
  return memoryLimitBytes ? Math.ceil(memoryLimitBytes / MiB) : HEAP_MB_DEFAULT
}

export function heapTooLarge(options: Pick<WorkerOptions, 'memoryLimitBytes'>): string {
  return `its JavaScript heap is larger than ${heapMbMax(options)} MiB`
}

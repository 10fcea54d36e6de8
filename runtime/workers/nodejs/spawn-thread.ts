import { Worker as Thread } from 'node:worker_threads'
import { ownModule } from '../../base/own-module.ts'
import { createThreadChannel } from '../../shared-memory/thread-channel.ts'
import { forwardLines } from '../output-lines.ts'
import type { GuestHandle } from '../ring-worker.ts'
import type { WorkerOptions } from '../worker.ts'
import { heapMbMax, heapTooLarge } from './heap.ts'

/** A worker thread of the agent (isolation I1: fault containment for trusted code). */
export async function spawnThread(options: WorkerOptions): Promise<GuestHandle> {
  const { agentEnd, transfer } = createThreadChannel()
  const env: Record<string, string> = { PATH: process.env['PATH'] ?? '', TZ: process.env['TZ'] ?? '' }
  for (const { name, value } of options.function.config.env) env[name] = value
  const thread = new Thread(ownModule(import.meta.url, './thread-guest'), {
    name: `${options.function.config.name}/${options.id}`,
    workerData: transfer,
    transferList: [transfer.port],
    env,
    argv: [],
    execArgv: ['--disable-warning=ExperimentalWarning'],
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMbMax(options) },
  })
  forwardLines(thread.stdout, (line) => options.host.log(20, line, ''))
  forwardLines(thread.stderr, (line) => options.host.log(40, line, ''))
  const exited = Promise.withResolvers<string>()
  let reason = ''
  thread.on('error', (error: Error) => (reason = describe(error, options)))
  thread.on('exit', (code) => {
    // Whole records may still lie in the ring: an answer that was written counts.
    while (agentEnd.poll(LAST_RECORDS) === LAST_RECORDS);
    exited.resolve(reason || `exit code ${code}`)
  })
  return { channel: agentEnd, exited: exited.promise, kill: () => void thread.terminate(), memoryBytes: () => heapBytes(thread) }
}

const LAST_RECORDS = 4096

function describe(error: unknown, options: WorkerOptions): string {
  if (!(error instanceof Error)) return `threw ${String(error)}`
  if ('code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY') return heapTooLarge(options)
  return `uncaught ${error.name}: ${error.message}`
}

/** Heap and what hangs on it outside: Buffers, ArrayBuffers. */
async function heapBytes(thread: Thread): Promise<number> {
  const { total_heap_size, external_memory, malloced_memory } = await thread.getHeapStatistics()
  return total_heap_size + external_memory + malloced_memory
}

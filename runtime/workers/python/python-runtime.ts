import { fileURLToPath } from 'node:url'
import { spawnGuest } from '../guest-process.ts'
import { RingWorker } from '../ring-worker.ts'
import type { Runtime } from '../worker.ts'

const GUEST = fileURLToPath(new URL('../../shared-memory/guests/python/main.py', import.meta.url))

/** Python handlers, a process each, over the shared-memory ring. The guest is standard library only, Python >= 3.9. */
export const pythonRuntime: Runtime = {
  createWorker: (options) =>
    new RingWorker(options, async () => {
      const command = process.env['DUNLIN_PYTHON'] ?? 'python3'
      const { debug } = options.function
      const debugging = debug && (await (await import('./debugger.ts')).pythonDebugger(command, debug))
      return spawnGuest(options, {
        command,
        args: ['-u', ...(debugging?.args ?? []), GUEST],
        env: debugging?.env,
        notFound: 'install python3 (>= 3.9), or name it in the environment variable DUNLIN_PYTHON',
      })
    }),
}

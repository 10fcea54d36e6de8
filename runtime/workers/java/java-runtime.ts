import { spawnGuest } from '../guest-process.ts'
import { RingWorker } from '../ring-worker.ts'
import type { DebugOptions, Runtime, WorkerOptions } from '../worker.ts'
import { functionClassPath, guestClassPath } from './class-path.ts'
import { JVM_OPTIONS } from './jvm-options.ts'

/** Java handlers, a JVM each, over the shared-memory ring. The guest is standard library only, Java >= 17. */
export const javaRuntime: Runtime = {
  createWorker: (options) => new RingWorker(options, () => spawnJava(options)),
}

async function spawnJava(options: WorkerOptions): ReturnType<typeof spawnGuest> {
  const guest = await guestClassPath()
  const own = await functionClassPath(options.function.directory, guest)
  const { jvmOptions } = options.function.config.runtimeAttributes
  return spawnGuest(options, {
    command: process.env['DUNLIN_JAVA'] ?? 'java',
    args: [
      ...JVM_OPTIONS,
      ...debugOptions(options.function.debug),
      ...(Array.isArray(jvmOptions) ? jvmOptions.map(String) : []),
      '-cp',
      `${guest}:${own}`,
      'dunlin.guest.Main',
    ],
    notFound: 'install a Java runtime (>= 17), or name its java in the environment variable DUNLIN_JAVA',
  })
}

function debugOptions(debug: DebugOptions | undefined): string[] {
  if (!debug) return []
  return [`-agentlib:jdwp=transport=dt_socket,server=y,suspend=${debug.isWaiting ? 'y' : 'n'},address=${debug.host}:${debug.port}`]
}

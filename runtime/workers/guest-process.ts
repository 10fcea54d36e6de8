import { FunctionError } from '../base/errors.ts'
import { openProcessChannel } from '../shared-memory/process-channel.ts'
import { functionEnvironment } from './child.ts'
import { childGroups } from './child-groups.ts'
import { forwardLines } from './output-lines.ts'
import type { GuestHandle } from './ring-worker.ts'
import type { WorkerOptions } from './worker.ts'

export interface GuestCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>> | undefined
  /** What to do when the command is not on this machine. */
  readonly notFound: string
  /** Recognizes a line of its error output that tells what it dies of, better than the last one does. */
  readonly reasonIn?: (line: string) => string | undefined
}

/** Starts a guest in a process group of its own, with the ring open; what it prints goes to the function's log. */
export async function spawnGuest(options: WorkerOptions, { command, args, env, notFound, reasonIn }: GuestCommand): Promise<GuestHandle> {
  const group = childGroups.make(options.function.config.runtime)
  const { channel, child } = openProcessChannel({
    ...group.commandOf(command, args),
    cwd: options.function.directory,
    env: { ...functionEnvironment(options.function.config.env), ...env },
    logger: options.logger,
  })
  group.add(child.pid)
  const exited = Promise.withResolvers<string>()
  const started = Promise.withResolvers<void>()
  child.once('spawn', started.resolve)
  child.on('error', (error: NodeJS.ErrnoException) => {
    channel.close()
    group.close()
    const hint = error.code === 'ENOENT' ? notFound : undefined
    started.reject(new FunctionError('runtime-missing', `Cannot run ${command}`, { cause: error, ...(hint ? { hint } : {}) }))
  })
  if (child.stdout) forwardLines(child.stdout, (line) => options.host.log(20, line, ''))
  let lastLine = ''
  let reason: string | undefined
  if (child.stderr) {
    forwardLines(child.stderr, (line) => {
      lastLine = line
      reason ??= reasonIn?.(line)
      options.host.log(40, line, '')
    })
  }
  child.once('exit', (code, signal) => {
    // Whole records may still lie in the ring: an answer that was written counts.
    while (channel.poll(LAST_RECORDS) === LAST_RECORDS);
    group.close()
    const end = () => {
      clearTimeout(timer)
      const how = signal ? `killed by ${signal}` : `exit code ${code}`
      exited.resolve(reason ?? (lastLine === '' ? how : `${how}: ${lastLine}`))
    }
    // Its last words may still be in the pipe; a process that left the group may hold the pipe open for ever.
    const timer = setTimeout(end, LAST_WORDS_MS)
    child.once('close', end)
  })
  await started.promise
  return { channel, exited: exited.promise, kill: () => group.kill(), memoryBytes: () => group.memoryBytes() }
}

const LAST_RECORDS = 4096
const LAST_WORDS_MS = 100

/**
 * A child on three kernel pipes. Node's own `stdio: 'pipe'` is a socket, and a socket cannot be opened by name: `cat /dev/stdin` and
 * `echo x > /dev/stderr`, which every shell script may do, would fail.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import koffi from 'koffi'
import { codeOf, ResourceError } from '../../base/errors.ts'

export interface PipedChild {
  readonly child: ChildProcess
  readonly stdin: Socket
  readonly stdout: Socket
  readonly stderr: Socket
  /** It has ended, or could not be started, and nobody holds its output open any more. */
  readonly closed: Promise<void>
}

/** Throws ResourceError: 'no-pipe' when the process has no file descriptors left, 'no-process' when the kernel refuses the program. */
export function spawnPiped(command: string, args: readonly string[], options: Omit<SpawnOptions, 'stdio'>): PipedChild {
  const pipes: Pipe[] = []
  try {
    for (let made = 0; made < 3; made++) pipes.push(openPipe())
  } catch (error) {
    for (const { readEnd, writeEnd } of pipes) [readEnd, writeEnd].forEach(closeSync)
    throw error
  }
  const [input, output, errors] = pipes as [Pipe, Pipe, Pipe]
  let child: ChildProcess
  try {
    child = spawn(command, args, { ...options, stdio: [input.readEnd, output.writeEnd, errors.writeEnd] })
  } catch (error) {
    // Node throws some of the kernel's refusals (E2BIG, ENOMEM) and reports others with 'error'.
    for (const end of [input.writeEnd, output.readEnd, errors.readEnd]) closeSync(end)
    throw spawnError(error)
  } finally {
    for (const end of [input.readEnd, output.writeEnd, errors.writeEnd]) closeSync(end)
  }
  const stdin = new Socket({ fd: input.writeEnd, readable: false, writable: true })
  const stdout = new Socket({ fd: output.readEnd, readable: true, writable: false })
  const stderr = new Socket({ fd: errors.readEnd, readable: true, writable: false })
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const closed = Promise.all([ended, closeOf(stdout), closeOf(stderr)]).then(() => void stdin.destroy())
  return { child, stdin, stdout, stderr, closed }
}

/** Whatever ends the stream: a pipe that fails has nothing more to say. */
async function closeOf(stream: Socket): Promise<void> {
  stream.on('error', () => {})
  await once(stream, 'close').catch(() => {})
}

function spawnError(error: unknown): ResourceError {
  const reason = codeOf(error) === 'E2BIG' ? 'its arguments and environment are larger than this machine allows' : (error as Error).message
  return new ResourceError('no-process', reason, { cause: error })
}

interface Pipe {
  readonly readEnd: number
  readonly writeEnd: number
}

const O_CLOEXEC = 0o2000000
const pipe2 = koffi.load(null).func('int pipe2(_Out_ int *ends, int flags)') as (ends: number[], flags: number) => number

function openPipe(): Pipe {
  const ends = [0, 0]
  if (pipe2(ends, O_CLOEXEC) !== 0) throw new ResourceError('no-pipe', `Cannot open a pipe: errno ${koffi.errno()}`, { retryable: true })
  return { readEnd: ends[0]!, writeEnd: ends[1]! }
}

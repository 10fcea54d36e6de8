import { spawn, type ChildProcess } from 'node:child_process'
import type { Duplex } from 'node:stream'
import { ResourceError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { FileBodies, removeLeftBodies } from './body-files.ts'
import { RingChannel, type Channel, type Doorbell } from './channel.ts'
import { formatMemory, layoutOf, RING_BYTES_DEFAULT } from './layout.ts'
import { openSharedMapping } from './mapping.ts'

export interface ProcessChannelOptions {
  readonly command: string
  readonly args: readonly string[]
  /** The child's whole environment, but for the DUNLIN_ names that tell it where the ring is. */
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
  readonly ringBytes?: number
  readonly logger: Logger
}

/** The child has its own process group: kill it with `process.kill(-child.pid, signal)`. Its stdout and stderr are pipes to be read by the owner. */
export interface ProcessChannel {
  readonly channel: Channel
  readonly child: ChildProcess
}

/** Where a child finds its channel. fd 3 is the doorbell, fd 4 the memory. */
const DOORBELL_FD = 3
const MEMORY_FD = 4

/**
 * Starts a child and opens the channel to it. On the child's 'exit': poll once more (whole records may still lie in the ring), then close().
 * A child that cannot be started shows as the child's 'error' event. The guest exits when the doorbell's other end is gone.
 */
export function openProcessChannel(options: ProcessChannelOptions): ProcessChannel {
  const ringBytes = options.ringBytes ?? RING_BYTES_DEFAULT
  const layout = layoutOf(ringBytes)
  const mapping = openSharedMapping(layout.bytes)
  let bodies: FileBodies | undefined
  try {
    formatMemory(mapping.memory, ringBytes)
    removeLeftBodies()
    bodies = new FileBodies()
    const child = spawn(options.command, options.args, {
      cwd: options.cwd,
      env: {
        ...options.env,
        DUNLIN_DOORBELL_FD: String(DOORBELL_FD),
        DUNLIN_MEMORY_FD: String(MEMORY_FD),
        DUNLIN_BODY_DIR: bodies.directory,
      },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', mapping.fd],
      detached: true,
    })
    child.on('error', (error) => options.logger.debug({ err: error }, 'Child not started'))
    mapping.closeFd()
    const socket = child.stdio?.[DOORBELL_FD] as Duplex | undefined
    // Out of file descriptors: Node has no pipes to give and says why in the child's 'error' event.
    if (socket === undefined) throw new ResourceError('spawn-failed', `Cannot start ${options.command}: no pipe to it`, { retryable: true })
    const channel = new RingChannel({
      memory: mapping.memory,
      layout,
      side: 'agent',
      doorbell: new SocketDoorbell(socket),
      bodies,
      release: () => mapping.release(),
    })
    socket.on('data', () => channel.wake())
    socket.on('end', () => channel.wake())
    socket.on('error', (error: Error) => options.logger.debug({ err: error, pid: child.pid }, 'Doorbell closed'))
    return { channel, child }
  } catch (error) {
    bodies?.close()
    mapping.release()
    throw error
  }
}

const BELL = Buffer.from([1])

class SocketDoorbell implements Doorbell {
  readonly #socket: Duplex

  constructor(socket: Duplex) {
    this.#socket = socket
  }

  ring(): void {
    // Bytes that the child has not read yet wake it as well as a new one would; a child that reads none costs no memory.
    if (this.#socket.writable && this.#socket.writableLength === 0) this.#socket.write(BELL)
  }

  close(): void {
    this.#socket.destroy()
  }
}

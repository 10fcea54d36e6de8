import { constants } from 'node:os'
import { Socket } from 'node:net'
import koffi from 'koffi'
import { ProtocolError } from '../base/errors.ts'
import { FileBodies } from './body-files.ts'
import { RingChannel, type BodyCarrier, type Channel, type Doorbell } from './channel.ts'
import { isRingCapacity, layoutOf, RING_MAGIC, RING_VERSION, WORD } from './layout.ts'
import { openGivenMapping } from './mapping.ts'

/** The guest's end of a process channel, for guests that run on Node. */
export interface GuestChannel extends Channel {
  /** Blocks the thread until the doorbell rings or `ms` have passed, then reads. For handlers that cannot wait for a promise. */
  block(ms: number): void
  /** Nothing was there at the last look, and a bell comes with what is next: without it, `block` may wait for nothing. */
  readonly isAsleep: boolean
  /** Called by onRecord: the poll that reads ends behind this record. */
  pause(): void
}

/**
 * Opens the channel that this process was started with (docs/ring.md, "Memory"). The process ends when the agent does: at once where
 * it runs the event loop, by the kernel's signal where a handler holds it. `wrapBodies` sees what is too large for the ring.
 */
export function openGuestChannel(
  env: NodeJS.ProcessEnv = process.env,
  wrapBodies = (bodies: BodyCarrier): BodyCarrier => bodies,
): GuestChannel {
  const libc = loadLibc()
  libc.prctl(PR_SET_PDEATHSIG, constants.signals.SIGKILL)
  const doorbellFd = Number(env['DUNLIN_DOORBELL_FD'])
  const mapping = openGivenMapping(Number(env['DUNLIN_MEMORY_FD']))
  const words = new Int32Array(mapping.memory)
  const ringBytes = words[WORD.toGuestBytes]!
  if (words[WORD.magic] !== RING_MAGIC || words[WORD.version] !== RING_VERSION || !isRingCapacity(ringBytes)) {
    throw new ProtocolError('ring-version', `Cannot use the ring: version ${words[WORD.version]}, expected ${RING_VERSION}`)
  }
  mapping.closeFd()
  const socket = new Socket({ fd: doorbellFd, readable: true, writable: true })
  const channel: RingChannel = new RingChannel({
    memory: mapping.memory,
    layout: layoutOf(ringBytes),
    side: 'guest',
    doorbell: new DescriptorDoorbell(doorbellFd, libc, socket),
    bodies: wrapBodies(new FileBodies(undefined, env['DUNLIN_BODY_DIR'])),
    release: () => mapping.release(),
  })
  const end = (): never => process.exit(0)
  socket.on('data', () => channel.wake())
  socket.on('end', end)
  socket.on('error', end)
  setImmediate(() => channel.wake())
  const bells = Buffer.alloc(64)
  const waitFor = Buffer.alloc(8)
  return Object.assign(channel, {
    block(ms: number): void {
      waitFor.writeInt32LE(doorbellFd, 0)
      waitFor.writeInt32LE(POLLIN, 4)
      if (libc.poll(waitFor, 1, ms) > 0 && libc.read(doorbellFd, bells, bells.length) === 0) end()
      channel.wake()
    },
  })
}

/** Rings with one system call of its own: a bell must go out while a handler holds the event loop. */
class DescriptorDoorbell implements Doorbell {
  readonly #fd: number
  readonly #libc: Libc
  readonly #socket: Socket

  constructor(fd: number, libc: Libc, socket: Socket) {
    this.#fd = fd
    this.#libc = libc
    this.#socket = socket
  }

  /** A full pipe needs no bell more; one whose reader is gone ends by the socket's event. */
  ring(): void {
    this.#libc.send(this.#fd, BELL, 1, MSG_DONTWAIT | MSG_NOSIGNAL)
  }

  close(): void {
    this.#socket.destroy()
  }
}

const BELL = Buffer.from([1])
const PR_SET_PDEATHSIG = 1
const POLLIN = 1
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000

interface Libc {
  prctl(option: number, signal: number): number
  poll(descriptors: Buffer, count: number, ms: number): number
  read(fd: number, target: Buffer, length: number): number
  send(fd: number, bytes: Buffer, length: number, flags: number): number
}

function loadLibc(): Libc {
  const library = koffi.load(null)
  return {
    prctl: library.func('int prctl(int option, unsigned long signal)'),
    poll: library.func('int poll(void *descriptors, unsigned long count, int ms)'),
    read: library.func('intptr_t read(int fd, void *target, size_t length)'),
    send: library.func('intptr_t send(int fd, const void *bytes, size_t length, int flags)'),
  }
}

/** Limits of the host's process that hold for the library in it, and what else the C library must be told once. */
import { readFileSync } from 'node:fs'
import koffi from 'koffi'
import { ResourceError } from '../base/errors.ts'
import type { BodyCarrier } from '../shared-memory/channel.ts'

const RLIMIT_DATA = 2
const RLIMIT_CORE = 4
const LINE_BUFFERED = 1
const UNLIMITED = 0xffff_ffff_ffff_ffffn

/** What the host itself may come to take: its heap, and buffers that it uses again. */
const HOST_BYTES = 32 << 20
/** Bodies up to this size are among them. */
const BODY_BYTES = 4 << 20
/** A larger body is in memory as it was read, as the library sees it, and as it is sent; and once as garbage. */
const COPIES = 4

type Setrlimit = (resource: number, limit: BigUint64Array) => number

/**
 * Private memory of the process: what it has at the start, the host's allowance and the library's limit; beyond that malloc answers
 * NULL. Bodies that pass through are the host's: the limit grows with the largest of them. No core file is written: it would hold
 * events, and fill a small disk.
 */
export class ProcessLimits {
  readonly #setrlimit = koffi.load(null).func('int setrlimit(int resource, const uint64_t *limit)') as Setrlimit
  readonly #bytes: number
  #largestBody = 0

  constructor(libraryBytes: number) {
    const kilobytes = Number(/^VmData:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
    this.#bytes = kilobytes * 1024 + HOST_BYTES + libraryBytes
    this.#set(RLIMIT_CORE, 0)
    this.#set(RLIMIT_DATA, this.#bytes)
  }

  /** Call before memory is taken for a body. */
  readonly allowBody = (bytes: number): void => {
    if (bytes <= BODY_BYTES || bytes <= this.#largestBody) return
    this.#largestBody = bytes
    this.#set(RLIMIT_DATA, this.#bytes + COPIES * bytes)
  }

  #set(resource: number, value: number): void {
    if (this.#setrlimit(resource, BigUint64Array.of(BigInt(value), UNLIMITED)) === 0) return
    // The hard limit is somebody else's, and lower.
    if (this.#setrlimit(resource, BigUint64Array.of(BigInt(value), BigInt(value))) !== 0)
      throw new ResourceError('rlimit', `Cannot limit resource ${resource} to ${value}: errno ${koffi.errno()}`)
  }
}

/** Bodies that come from outside the ring, each announced before it is read. */
export function announcedBodies(bodies: BodyCarrier, announce: (bytes: number) => void): BodyCarrier {
  return {
    put: (body, isAllRead) => bodies.put(body, isAllRead),
    take(reference) {
      if (reference.length >= 4) announce(reference.readUInt32LE(0))
      return bodies.take(reference)
    },
    close: () => bodies.close(),
  }
}

/** What a library prints becomes a line of the log when it is written, not when the process ends. */
export function printLineByLine(): void {
  const libc = koffi.load(null)
  const setvbuf = libc.func('int setvbuf(void *stream, void *buffer, int mode, size_t size)')
  setvbuf(koffi.decode(libc.symbol('stdout', 'void *'), 'void *'), null, LINE_BUFFERED, 0)
}

/** Limits of the host's process that hold for the library in it, and what else the C library must be told once. */
import { readFileSync } from 'node:fs'
import koffi from 'koffi'
import { ResourceError } from '../base/errors.ts'

const RLIMIT_DATA = 2
const RLIMIT_CORE = 4
const LINE_BUFFERED = 1

/** What the host itself may come to take: its heap, and buffers that it uses again. */
const HOST_BYTES = 32 << 20

/**
 * Lets the library take `bytes` of private memory; then malloc answers NULL. No core file is written: it would
 * hold events, and fill a small disk.
 */
export function limitProcess(bytes: number): void {
  const libc = koffi.load(null)
  const setrlimit = libc.func('int setrlimit(int resource, const uint64_t *limit)') as (resource: number, limit: BigUint64Array) => number
  const to = (resource: number, value: number): void => {
    if (setrlimit(resource, BigUint64Array.of(BigInt(value), BigInt(value))) !== 0)
      throw new ResourceError('rlimit', `Cannot limit resource ${resource} to ${value}: errno ${koffi.errno()}`)
  }
  to(RLIMIT_CORE, 0)
  const kilobytes = Number(/^VmData:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])
  to(RLIMIT_DATA, kilobytes * 1024 + HOST_BYTES + bytes)
}

/** What a library prints becomes a line of the log when it is written, not when the process ends. */
export function printLineByLine(): void {
  const libc = koffi.load(null)
  const setvbuf = libc.func('int setvbuf(void *stream, void *buffer, int mode, size_t size)')
  setvbuf(koffi.decode(libc.symbol('stdout', 'void *'), 'void *'), null, LINE_BUFFERED, 0)
}

import { closeSync, fstatSync, ftruncateSync } from 'node:fs'
import koffi from 'koffi'
import { ResourceError } from '../base/errors.ts'

/**
 * Memory shared with a child: an anonymous file (memfd) that is sealed against shrinking and growing, so that no peer can take
 * a page away under the agent (SIGBUS). It has no name: nobody else can open it, and nothing stays behind after a crash.
 */
export interface SharedMapping {
  /** Passed to the child; close it once the child is spawned. */
  readonly fd: number
  readonly memory: ArrayBuffer
  closeFd(): void
  /** Detaches every view of the memory, so that late access finds length 0 instead of an unmapped page, and unmaps it. */
  release(): void
}

export function openSharedMapping(bytes: number): SharedMapping {
  const libc = loadLibc()
  const fd = libc.memfdCreate('dunlin-ring', MFD_CLOEXEC | MFD_ALLOW_SEALING)
  if (fd < 0) throw failed('create', bytes)
  let isFdOpen = true
  const closeFd = (): void => {
    if (isFdOpen) closeSync(fd)
    isFdOpen = false
  }
  try {
    ftruncateSync(fd, bytes)
    if (libc.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !== 0) throw failed('seal', bytes)
    const { memory, unmap } = map(libc, fd, bytes)
    return {
      fd,
      memory,
      closeFd,
      release() {
        closeFd()
        unmap()
      },
    }
  } catch (error) {
    closeFd()
    throw error
  }
}

/** The guest's side: maps what it has been given as `fd`, whole. */
export function openGivenMapping(fd: number): SharedMapping {
  const { memory, unmap } = map(loadLibc(), fd, fstatSync(fd).size)
  return { fd, memory, closeFd: () => closeSync(fd), release: unmap }
}

function map(libc: Libc, fd: number, bytes: number): { memory: ArrayBuffer; unmap: () => void } {
  const address: unknown = libc.mmap(null, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)
  if (koffi.address(address) === MAP_FAILED) throw failed('map', bytes)
  const memory: ArrayBuffer = koffi.view(address, bytes)
  return {
    memory,
    unmap() {
      if (memory.byteLength === 0) return
      memory.transfer()
      libc.munmap(address, bytes)
    },
  }
}

const MFD_CLOEXEC = 1
const MFD_ALLOW_SEALING = 2
const F_ADD_SEALS = 1033
const F_SEAL_SEAL = 1
const F_SEAL_SHRINK = 2
const F_SEAL_GROW = 4
const PROT_READ = 1
const PROT_WRITE = 2
const MAP_SHARED = 1
const MAP_FAILED = 0xffff_ffff_ffff_ffffn

interface Libc {
  memfdCreate(name: string, flags: number): number
  fcntl(fd: number, command: number, argument: number): number
  mmap(address: null, length: number, protection: number, flags: number, fd: number, offset: number): unknown
  munmap(address: unknown, length: number): number
}

/** koffi gives back the same functions for the same library, so nothing is kept here. */
function loadLibc(): Libc {
  const library = koffi.load(null)
  return {
    memfdCreate: library.func('int memfd_create(const char *name, unsigned int flags)'),
    fcntl: library.func('int fcntl(int fd, int command, int argument)'),
    mmap: library.func('void *mmap(void *address, size_t length, int protection, int flags, int fd, int64_t offset)'),
    munmap: library.func('int munmap(void *address, size_t length)'),
  }
}

function failed(action: string, bytes: number): ResourceError {
  return new ResourceError('shared-memory', `Cannot ${action} ${bytes} bytes of shared memory: errno ${koffi.errno()}`)
}

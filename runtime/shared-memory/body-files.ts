import { randomBytes } from 'node:crypto'
import { closeSync, constants, fstatSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { ProtocolError, ResourceError, codeOf, describeError } from '../base/errors.ts'
import type { BodyCarrier } from './channel.ts'
import { EXTERNAL_BODY_BYTES_MAX } from './layout.ts'

/**
 * Large bodies between processes: one file each in a 0700 directory of the channel's own under /dev/shm.
 * The receiver reads the file with plain reads and unlinks it: a peer that truncates it causes a short read, never a SIGBUS.
 * Reference: u32 length, then the file's name (32 hex digits); any other name is refused.
 */
export class FileBodies implements BodyCarrier {
  readonly directory: string

  constructor(parent: string = SHARED_MEMORY_DIR) {
    this.directory = mkdtempSync(join(parent, `${PREFIX}${process.pid}-`))
  }

  put(body: Uint8Array): Uint8Array {
    const name = randomBytes(NAME_DIGITS / 2).toString('hex')
    const path = join(this.directory, name)
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
      try {
        for (let at = 0; at < body.length; ) at += writeSync(fd, body, at)
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      rmSync(path, { force: true })
      throw new ResourceError('body-no-room', `Cannot put a body of ${body.length} bytes under ${this.directory}`, { cause: error, retryable: true })
    }
    const reference = Buffer.alloc(4 + NAME_DIGITS)
    reference.writeUInt32LE(body.length, 0)
    reference.write(name, 4, 'latin1')
    return reference
  }

  take(reference: Buffer): Buffer {
    const name = reference.toString('latin1', 4)
    const length = reference.length < 4 ? 0 : reference.readUInt32LE(0)
    if (!NAME.test(name) || length > EXTERNAL_BODY_BYTES_MAX) {
      throw new ProtocolError('body-reference', `Cannot take a body of ${length} bytes: at most ${EXTERNAL_BODY_BYTES_MAX}, from a file named by ${NAME_DIGITS} hex digits`)
    }
    const path = join(this.directory, name)
    try {
      // O_NONBLOCK: opening a FIFO that the peer has put there must not wait.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        return readExactly(fd, length)
      } finally {
        closeSync(fd)
        unlinkSync(path)
      }
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      throw new ProtocolError('body-missing', `Cannot take body ${name}: ${describeError(error)}`, { cause: error })
    }
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true })
  }
}

/** Removes what agents that were killed have left behind: directories whose process is gone. Called when an agent starts. */
export function removeLeftBodies(parent: string = SHARED_MEMORY_DIR): void {
  for (const name of readdirSync(parent)) {
    const pid = LEFT.exec(name)?.[1]
    if (pid !== undefined && !isAlive(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

const PREFIX = 'dunlin-'
const LEFT = /^dunlin-(\d+)-/
const SHARED_MEMORY_DIR = '/dev/shm'
const NAME_DIGITS = 32
const NAME = /^[0-9a-f]{32}$/

function readExactly(fd: number, length: number): Buffer {
  const stat = fstatSync(fd)
  if (!stat.isFile() || stat.size !== length) throw new ProtocolError('body-length', `Cannot take a body: the file has ${stat.size} bytes, expected ${length}`)
  const body = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; ) {
    const read = readSync(fd, body, at, length - at, at)
    if (read === 0) throw new ProtocolError('body-length', `Cannot take a body: the file ends at ${at} of ${length} bytes`)
    at += read
  }
  return body
}

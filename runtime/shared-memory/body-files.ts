import { randomBytes } from 'node:crypto'
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  rmSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { ProtocolError, ResourceError, codeOf, describeError } from '../base/errors.ts'
import type { BodyCarrier } from './channel.ts'
import { EXTERNAL_BODY_BYTES_MAX } from './layout.ts'

/**
 * Large bodies between processes: files in a 0700 directory of the channel's own under /dev/shm. The receiver reads with plain reads:
 * a peer that truncates a file causes a short read, never a SIGBUS.
 * Reference: u32 length, the file's name (32 hex digits; any other is refused), u8: 0 = remove the file once it is read, 1 = leave it.
 * A sender keeps one spare file and writes it again when its peer has read everything: fresh pages cost more than the copy.
 */
export class FileBodies implements BodyCarrier {
  readonly directory: string
  readonly #isOwner: boolean
  #spare: { readonly name: string; readonly fd: number } | null = null
  /** Taken bodies up to SPARE_BYTES_MAX lie here until the next one comes. */
  #taken: Buffer = Buffer.alloc(0)

  /** `given`: the guest's side gets the directory from the agent, whose it is. */
  constructor(parent: string = SHARED_MEMORY_DIR, given?: string) {
    this.#isOwner = given === undefined
    this.directory = given ?? mkdtempSync(join(parent, `dunlin-${pidNamespace()}-${process.pid}-`))
  }

  put(body: Uint8Array, isAllRead: boolean): Uint8Array {
    const isSpare = isAllRead && body.length <= SPARE_BYTES_MAX
    try {
      const name = isSpare ? this.#putInSpare(body) : this.#putInNew(body)
      const reference = Buffer.alloc(REFERENCE_BYTES)
      reference.writeUInt32LE(body.length, 0)
      reference.write(name, 4, 'latin1')
      reference[REFERENCE_BYTES - 1] = isSpare ? 1 : 0
      return reference
    } catch (error) {
      throw new ResourceError('body-no-room', `Cannot put a body of ${body.length} bytes under ${this.directory}`, {
        cause: error,
        retryable: true,
      })
    }
  }

  take(reference: Buffer): Buffer {
    const name = reference.toString('latin1', 4, REFERENCE_BYTES - 1)
    const length = reference.length === REFERENCE_BYTES ? reference.readUInt32LE(0) : 0
    if (!NAME.test(name) || length > EXTERNAL_BODY_BYTES_MAX || reference.length !== REFERENCE_BYTES) {
      throw new ProtocolError(
        'body-reference',
        `Cannot take a body of ${length} bytes: at most ${EXTERNAL_BODY_BYTES_MAX}, from a file named by ${NAME_DIGITS} hex digits`,
      )
    }
    const path = join(this.directory, name)
    try {
      // O_NONBLOCK: opening a FIFO that the peer has put there must not wait.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
      try {
        return readExactly(fd, this.#roomFor(length))
      } finally {
        closeSync(fd)
        if (reference[REFERENCE_BYTES - 1] === 0) unlinkSync(path)
      }
    } catch (error) {
      if (error instanceof ProtocolError) throw error
      throw new ProtocolError('body-missing', `Cannot take body ${name}: ${describeError(error)}`, { cause: error })
    }
  }

  close(): void {
    if (this.#spare !== null) closeSync(this.#spare.fd)
    this.#spare = null
    if (this.#isOwner) rmSync(this.directory, { recursive: true, force: true })
  }

  #putInSpare(body: Uint8Array): string {
    this.#spare ??= this.#create()
    writeFully(this.#spare.fd, body)
    return this.#spare.name
  }

  #putInNew(body: Uint8Array): string {
    const { name, fd } = this.#create()
    try {
      writeFully(fd, body)
      return name
    } catch (error) {
      unlinkSync(join(this.directory, name))
      throw error
    } finally {
      closeSync(fd)
    }
  }

  #create(): { name: string; fd: number } {
    const name = randomBytes(NAME_DIGITS / 2).toString('hex')
    return {
      name,
      fd: openSync(join(this.directory, name), constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600),
    }
  }

  #roomFor(length: number): Buffer {
    if (length > SPARE_BYTES_MAX) return Buffer.allocUnsafe(length)
    if (this.#taken.length < length) this.#taken = Buffer.allocUnsafeSlow(length)
    return this.#taken.subarray(0, length)
  }
}

/** Removes what agents that were killed have left behind: directories whose process, in our own PID namespace, is gone. */
export function removeLeftBodies(parent: string = SHARED_MEMORY_DIR): void {
  for (const name of readdirSync(parent)) {
    const [, namespace, pid] = LEFT.exec(name) ?? []
    if (namespace !== pidNamespace() || isAlive(Number(pid))) continue
    try {
      rmSync(join(parent, name), { recursive: true, force: true })
    } catch {
      // Another user's: not ours to remove.
    }
  }
}

/** Two containers may share /dev/shm and have the same process numbers. */
function pidNamespace(): string {
  return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0'
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

const LEFT = /^dunlin-(\d+)-(\d+)-/
const SHARED_MEMORY_DIR = '/dev/shm'
const NAME_DIGITS = 32
const NAME = /^[0-9a-f]{32}$/

/** What a channel that carries large bodies keeps for the next one, in each direction. */
const SPARE_BYTES_MAX = 4 << 20
const REFERENCE_BYTES = 4 + NAME_DIGITS + 1

function writeFully(fd: number, body: Uint8Array): void {
  for (let at = 0; at < body.length;) at += writeSync(fd, body, at, body.length - at, at)
}

function readExactly(fd: number, body: Buffer): Buffer {
  if (!fstatSync(fd).isFile()) throw new ProtocolError('body-length', `Cannot take a body of ${body.length} bytes: it is not in a file`)
  for (let at = 0; at < body.length;) {
    const read = readSync(fd, body, at, body.length - at, at)
    if (read === 0) throw new ProtocolError('body-length', `Cannot take a body: the file ends at ${at} of ${body.length} bytes`)
    at += read
  }
  return body
}

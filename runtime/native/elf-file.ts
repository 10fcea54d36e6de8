/** What a library's first bytes say: enough to tell a wrong file from a broken one before anything of it runs. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { FunctionError, codeOf } from '../base/errors.ts'

const HEADER_BYTES = 20
const CLASS_64 = 2
const LITTLE_ENDIAN = 1
const TYPE_SHARED = 3

/** ELF's machine numbers, as Node calls these architectures. */
const MACHINES: Readonly<Record<number, string>> = { 3: 'ia32', 40: 'arm', 62: 'x64', 183: 'arm64', 243: 'riscv64' }

/** Throws FunctionError 'library-missing', 'library-invalid' or 'library-architecture'. */
export function checkElfFile(path: string, arch: string = process.arch): void {
  const header = Buffer.alloc(HEADER_BYTES)
  try {
    const fd = openSync(path, 'r')
    try {
      if (!fstatSync(fd).isFile()) throw invalid(path, 'it is no plain file')
      readSync(fd, header, 0, HEADER_BYTES, 0)
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (error instanceof FunctionError) throw error
    if (codeOf(error) !== 'ENOENT') throw new FunctionError('library-invalid', `Cannot read library ${path}`, { cause: error })
    throw new FunctionError('library-missing', `Cannot find library ${path}`, {
      hint: 'build it first (make), and check `handler: libname.so` in function.yaml',
    })
  }
  if (header.readUInt32BE(0) !== 0x7f454c46) throw invalid(path, 'it is no ELF file')
  const machine = MACHINES[header.readUInt16LE(18)] ?? `ELF machine ${header.readUInt16LE(18)}`
  if (header[4] !== CLASS_64 || header[5] !== LITTLE_ENDIAN || machine !== arch) {
    throw new FunctionError('library-architecture', `Cannot load library ${path}: it is built for ${machine}, this device is ${arch}`, {
      hint: `build it for ${arch}; a bundle for several kinds of device has it in a folder for each: x64/, arm64/`,
    })
  }
  if (header.readUInt16LE(16) !== TYPE_SHARED) throw invalid(path, 'it is no shared library (build it with -shared -fPIC)')
}

function invalid(path: string, why: string): FunctionError {
  return new FunctionError('library-invalid', `Cannot load library ${path}: ${why}`)
}

import koffi from 'koffi'
import { existsSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { FunctionError } from '../base/errors.ts'
import { checkElfFile } from './elf-file.ts'

/** dunlin.h, DUNLIN_ABI: changes when anything changes that crosses the line. */
export const ABI_VERSION = 1

/** What a function library exports; addresses go in, C's int32_t comes out. */
export interface Library {
  readonly path: string
  readonly handle: (context: number, event: number) => number
  readonly handleBatch: ((context: number, events: number, count: number) => number) | null
  readonly initContext: ((context: number) => number) | null
  readonly drain: ((context: number) => void) | null
  readonly terminate: ((context: number) => void) | null
  readonly names: { readonly handle: string; readonly handleBatch: string }
}

/** `libname.so` or `libname.so:symbol`. Throws FunctionError with a code of its own for each thing that can be wrong. */
export function loadLibrary(directory: string, handler: string): Library {
  const at = handler.lastIndexOf(':')
  const file = at < 0 ? handler : handler.slice(0, at)
  const name = at < 0 ? 'dunlin_handle' : handler.slice(at + 1)
  const path = libraryPath(directory, file)
  checkElfFile(path)
  const library = open(path)
  const symbol = (symbolName: string, result: string, parameters: readonly string[]): unknown => {
    try {
      return library.func(symbolName, result, [...parameters])
    } catch {
      return null
    }
  }
  const abi = symbol('dunlin_abi', 'uint32_t', []) as (() => number) | null
  if (!abi) throw noSymbol(path, 'dunlin_abi', 'write DUNLIN_DEFINE_ABI once in the library (runtime/native/dunlin.h)')
  const version = abi()
  if (version !== ABI_VERSION) {
    throw new FunctionError('library-abi', `Cannot use library ${path}: it is built for ABI ${version}, this agent has ${ABI_VERSION}`, {
      hint: version > ABI_VERSION ? 'update the agent' : "build it again with this version's dunlin.h",
    })
  }
  const handle = symbol(name, 'int32_t', [ADDRESS, ADDRESS]) as Library['handle'] | null
  if (!handle) throw noSymbol(path, name, `export ${name}: is it static, hidden, or without extern "C"?`)
  const batchName = `${name}_batch`
  return {
    path,
    handle,
    handleBatch: symbol(batchName, 'int32_t', [ADDRESS, ADDRESS, 'size_t']) as Library['handleBatch'],
    initContext: symbol('dunlin_init_context', 'int32_t', [ADDRESS]) as Library['initContext'],
    drain: symbol('dunlin_drain', 'void', [ADDRESS]) as Library['drain'],
    terminate: symbol('dunlin_terminate', 'void', [ADDRESS]) as Library['terminate'],
    names: { handle: name, handleBatch: batchName },
  }
}

/** koffi takes a JavaScript number for it, which holds every address of a process. */
const ADDRESS = 'uintptr_t'

/** A bundle for several kinds of device has the library in a folder for each. */
function libraryPath(directory: string, file: string): string {
  const path = resolve(directory, file)
  if (!path.startsWith(resolve(directory) + sep)) {
    throw new FunctionError('library-missing', `Cannot load library ${file}: it is outside of the function's folder`)
  }
  const own = resolve(directory, process.arch, file)
  return existsSync(own) ? own : path
}

function open(path: string): ReturnType<typeof koffi.load> {
  try {
    return koffi.load(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^Failed to load shared library: /, '') : String(error)
    throw new FunctionError('library-load', `Cannot load library ${path}: ${reason}`, { hint: hintFor(reason) })
  }
}

function hintFor(reason: string): string {
  if (/GLIBC_|GLIBCXX_/.test(reason)) return 'it was built on a newer system: build it on one as old as the device'
  if (/undefined symbol/.test(reason)) return 'link what it needs, and put it beside the library with -Wl,-rpath,$ORIGIN'
  return 'install what it needs on the device, or put it beside the library with -Wl,-rpath,$ORIGIN'
}

function noSymbol(path: string, name: string, hint: string): FunctionError {
  return new FunctionError('library-symbol', `Cannot use library ${path}: it does not export ${name}`, { hint })
}

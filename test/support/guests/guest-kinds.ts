import { copyFileSync, mkdirSync } from 'node:fs'
import path from 'node:path'
import { parseFunctionConfig } from '../../../config/function-config.ts'
import type { FunctionVersion } from '../../../runtime/workers/worker.ts'
import { buildGoLibrary, buildLibrary } from '../native-library.ts'
import type { NeedName } from '../packages.ts'

/** A kind of guest, with the fixture function (README.md in this folder) in its language. */
export interface GuestKind {
  readonly name: string
  readonly needs: readonly NeedName[]
  /** Lines of `spec`. */
  readonly spec: string
  readonly files: readonly string[]
  /** What makes of the files in a folder what the guest runs. */
  readonly build?: (folder: string) => void
  /** One event after the other. */
  readonly isSequential: boolean
  /** A process of its own: it can be killed, and a large body is a file. */
  readonly isProcess: boolean
  /** The class, or the kind of error, of what its `raise` throws. */
  readonly raises: string
  /** Its fixture can reach the ring behind the context's back (step `forge`). */
  readonly forges: boolean
}

/** Every guest that speaks the ring. A new one is a line here and a fixture beside it. */
export const guestKinds: readonly GuestKind[] = [
  {
    name: 'python',
    needs: ['python3'],
    spec: '  runtime: python\n  handler: fixture:handler',
    files: ['fixture.py'],
    isSequential: true,
    isProcess: true,
    raises: 'ValueError: ',
    forges: true,
  },
  {
    name: 'python async',
    needs: ['python3'],
    spec: '  runtime: python\n  handler: fixture:async_handler',
    files: ['fixture.py'],
    isSequential: false,
    isProcess: true,
    raises: 'ValueError: ',
    forges: true,
  },
  {
    name: 'nodejs thread',
    needs: [],
    spec: '  runtime: nodejs\n  handler: fixture:handler',
    files: ['fixture.mjs'],
    isSequential: false,
    isProcess: false,
    raises: 'Error: ',
    forges: false,
  },
  {
    name: 'nodejs process',
    needs: [],
    spec: '  runtime: nodejs\n  isolation: process\n  handler: fixture:handler',
    files: ['fixture.mjs'],
    isSequential: false,
    isProcess: true,
    raises: 'Error: ',
    forges: false,
  },
  {
    name: 'java',
    needs: ['java', 'javac'],
    spec: '  runtime: java\n  handler: Fixture',
    files: ['Fixture.java'],
    isSequential: true,
    isProcess: true,
    raises: 'java.lang.IllegalArgumentException: ',
    forges: true,
  },
  {
    name: 'native',
    needs: ['gcc'],
    spec: '  runtime: native\n  handler: libfixture.so',
    files: ['fixture.c'],
    build: (folder) => buildLibrary(path.join(folder, 'fixture.c'), path.join(folder, 'libfixture.so')),
    isSequential: true,
    isProcess: true,
    raises: '',
    // The host drops an answer for an event that the library does not have.
    forges: false,
  },
  {
    name: 'native go',
    needs: ['go', 'gcc'],
    spec: '  runtime: native\n  handler: libfixture.so',
    files: ['fixture.go'],
    build: (folder) => buildGoLibrary(path.join(folder, 'fixture.go'), path.join(folder, 'libfixture.so')),
    isSequential: true,
    isProcess: true,
    raises: '',
    forges: false,
  },
]

/** The fixture function of a kind in `directory`. `more`: lines of `spec`. */
export function fixtureVersion(kind: GuestKind, directory: string, name = 'fixture', more = ''): FunctionVersion {
  mkdirSync(directory, { recursive: true })
  for (const file of kind.files) copyFileSync(path.join(import.meta.dirname, file), path.join(directory, path.basename(file)))
  kind.build?.(directory)
  const config = parseFunctionConfig(`metadata: { name: ${name} }\nspec:\n${kind.spec}\n${more}`, 'function.yaml')
  return { config, version: 'v7', directory }
}

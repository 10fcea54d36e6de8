/** Programs and rights that some tests need from the machine. What is missing skips those tests; with CI=true it fails the run (test/run.ts). */
import { spawnSync } from 'node:child_process'
import { accessSync, constants, existsSync, mkdtempSync, rmdirSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Implementation, TestFn } from 'ava'

export interface Need {
  readonly name: string
  /** The Debian package that has it; null: a right of the machine, which no package gives. */
  readonly debianPackage: string | null
  readonly isThere: () => boolean
}

const program = (name: string, debianPackage: string): Need => ({ name, debianPackage, isThere: () => findProgram(name) !== null })

export const NEEDS = [
  program('mosquitto', 'mosquitto'),
  program('mosquitto_pub', 'mosquitto-clients'),
  program('mosquitto_sub', 'mosquitto-clients'),
  program('python3', 'python3'),
  program('java', 'default-jdk-headless'),
  program('javac', 'default-jdk-headless'),
  program('gcc', 'gcc'),
  program('go', 'golang-go'),
  program('make', 'make'),
  program('rustc', 'rustc'),
  program('socat', 'socat'),
  program('git', 'git'),
  program('mke2fs', 'e2fsprogs'),
  program('losetup', 'mount'),
  /** Root that may mount: containers often may not. Small file systems that fill up are made with it. */
  { name: 'mount', debianPackage: null, isThere: canMount },
] as const satisfies readonly Need[]

export type NeedName = (typeof NEEDS)[number]['name']

/** Debian keeps servers in folders that only root has in its PATH. */
export const PROGRAM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin']

export function findProgram(name: string): string | null {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...PROGRAM_FOLDERS]) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      if (folder !== '' && statSync(file).isFile()) return file
    } catch {
      // Not in this folder.
    }
  }
  return null
}

export function missingNeeds(): Need[] {
  return NEEDS.filter((need) => !need.isThere())
}

/**
 * `needs(test, 'mosquitto_pub')('title', async (t) => { ... })` skips the test where something is missing, and says what in its title.
 * Takes `test` or `test.serial`.
 */
export function needs<Context>(
  test: Pick<TestFn<Context>, 'skip'> & ((title: string, implementation: Implementation<[], Context>) => void),
  ...names: NeedName[]
): (title: string, implementation: Implementation<[], Context>) => void {
  const missing = names.filter(isMissing)
  if (missing.length === 0) return (title, implementation) => test(title, implementation)
  return (title, implementation) => test.skip(`${title} [needs ${missing.join(', ')}]`, implementation)
}

/** test/run.ts has looked already; a test file that is run alone looks for itself. */
function isMissing(name: NeedName): boolean {
  const { DUNLIN_TEST_MISSING: known } = process.env
  return known === undefined ? !NEEDS.find((need) => need.name === name)!.isThere() : known.split(',').includes(name)
}

function canMount(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/proc/self/mounts')) return false
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-mount-'))
  try {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder], { stdio: 'ignore' }).status !== 0) return false
    return spawnSync('umount', [folder], { stdio: 'ignore' }).status === 0
  } finally {
    rmdirSync(folder)
  }
}

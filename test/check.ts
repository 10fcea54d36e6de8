/**
 * npm run check: types, lint, format. Every part runs, also after one has failed, and says how to repair. The programs are called by the
 * files their packages name, because npm does not always link node_modules/.bin.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Part {
  readonly name: string
  readonly package: string
  readonly program: string
  readonly args: readonly string[]
  readonly repair: string
}

const PARTS: readonly Part[] = [
  { name: 'types', package: 'typescript', program: 'tsc', args: ['--noEmit'], repair: 'correct the lines named above' },
  {
    name: 'lint',
    package: 'oxlint',
    program: 'oxlint',
    args: ['--type-aware', '--deny-warnings', '--format=stylish'],
    repair: 'correct the lines named above; the rules are in .oxlintrc.json',
  },
  { name: 'format', package: 'oxfmt', program: 'oxfmt', args: ['--check', '.'], repair: 'npm run format' },
]

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))

const failed = PARTS.filter((part) => !runs(part))
for (const { name, repair } of failed) console.log(`check: ${name} failed: ${repair}`)
if (failed.length === 0) console.log('check: all good')
process.exitCode = failed.length === 0 ? 0 : 1

function runs({ name, package: packageName, program, args }: Part): boolean {
  const startedAt = performance.now()
  const { status, error } = spawnSync(process.execPath, [binOf(packageName, program), ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, OXLINT_TSGOLINT_PATH: typeAwareLinter() },
  })
  if (error) console.log(`check: ${name}: ${error.message}`)
  console.log(`check: ${name} ${status === 0 ? 'ok' : 'failed'} (${((performance.now() - startedAt) / 1000).toFixed(1)} s)`)
  return status === 0
}

function binOf(packageName: string, program: string): string {
  const file = require.resolve(`${packageName}/package.json`)
  const { bin } = require(file) as { bin: Record<string, string> | string }
  return join(dirname(file), typeof bin === 'string' ? bin : bin[program]!)
}

/** oxlint looks for it in node_modules/.bin only. */
function typeAwareLinter(): string {
  const starter = require.resolve('oxlint-tsgolint/package.json')
  const native = createRequire(starter).resolve(`@oxlint-tsgolint/${process.platform}-${process.arch}/package.json`)
  return join(dirname(native), 'tsgolint')
}

/**
 * npm test: makes sure that the programs the tests need are there, runs ava with the arguments given, and ends with the line
 * `N passed, N failed`. Package scripts come through agent/launch.js, so process.execPath is the packaged Node.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, delimiter, join } from 'node:path'
import { AvaSummary } from './support/ava-summary.ts'
import { findProgram, missingNeeds, type Need, PROGRAM_FOLDERS } from './support/packages.ts'

const APT_TIMEOUT_MS = 300_000
const isCi = process.env.CI === 'true' || process.env.CI === '1'

const missing = provide()
process.exitCode = isCi && missing.some(isProgram) ? 1 : await runAva(missing)

/** Installs what is missing where this may be done; tells what then is still missing. */
function provide(): Need[] {
  const wanted = missingNeeds().filter(isProgram)
  if (wanted.length > 0) install([...new Set(wanted.map(({ debianPackage }) => debianPackage!))])
  const left = missingNeeds()
  for (const need of left) {
    const { name, debianPackage } = need
    const advice = debianPackage === null ? 'the machine does not give this right' : `install the Debian package ${debianPackage}`
    console.log(isCi && isProgram(need) ? `FAILED: tests need ${name}: ${advice}` : `Tests that need ${name} are skipped: ${advice}`)
  }
  if (isCi && left.some(isProgram)) console.log('0 passed, 1 failed')
  return left
}

function isProgram({ debianPackage }: Need): boolean {
  return debianPackage !== null
}

function install(packages: string[]): void {
  if (process.getuid?.() !== 0 || findProgram('apt-get') === null) return
  console.log(`Installing ${packages.join(', ')}`)
  const apt = (...args: string[]): boolean =>
    spawnSync('apt-get', ['-q', '-y', '-o', 'DPkg::Lock::Timeout=120', ...args], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_TIMEOUT_MS,
    }).status === 0
  // An update that fails for one source still leaves lists to install from.
  if (!apt('update')) console.log('apt-get update did not succeed')
  if (!apt('install', '--no-install-recommends', ...packages)) console.log('apt-get install did not succeed')
}

/** The exit code of ava; 1 when a signal ended it. */
async function runAva(left: readonly Need[]): Promise<number> {
  const ava = join(dirname(createRequire(import.meta.url).resolve('ava')), 'cli.js')
  const colour = process.stdout.isTTY ? ['--color'] : []
  const child = spawn(process.execPath, [ava, ...colour, ...process.argv.slice(2)], {
    stdio: ['inherit', 'pipe', 'inherit'],
    env: {
      ...process.env,
      PATH: [dirname(process.execPath), process.env.PATH, ...PROGRAM_FOLDERS].join(delimiter),
      DUNLIN_TEST_MISSING: left.map(({ name }) => name).join(','),
    },
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const summary = new AvaSummary()
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    process.stdout.write(chunk)
    summary.write(chunk)
  })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.on('error', reject).on('close', (code) => resolve(code ?? 1))
  const code = await promise
  console.log(summary.text(code))
  return code
}

/**
 * `npm run package`: the form that devices install. dist/ is the same tree as JavaScript, because Node does not strip types below
 * node_modules (and a device should not spend memory on it); then `npm pack` makes dunlin-<version>.tgz of it.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DIST = join(ROOT, 'dist')
/** What is not TypeScript and goes along. */
const COPIED = [
  'agent/launch.js',
  'runtime/shared-memory/guests',
  'runtime/native/dunlin.h',
  'runtime/native/go',
  'runtime/native/rust',
  'config/schemas',
  'examples',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  '.npmrc',
]

interface Manifest {
  readonly scripts?: unknown
  readonly devDependencies?: unknown
  readonly [key: string]: unknown
}

rmSync(DIST, { recursive: true, force: true })
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
execFileSync(process.execPath, [tsc, '-p', join(ROOT, 'tsconfig.package.json')], { stdio: 'inherit' })
for (const path of COPIED) {
  mkdirSync(dirname(join(DIST, path)), { recursive: true })
  cpSync(join(ROOT, path), join(DIST, path), { recursive: true, filter: (source) => !source.includes('__pycache__') })
}
chmodSync(join(DIST, 'agent/launch.js'), 0o755)
makeJavaGuest()
const {
  scripts: _scripts,
  devDependencies: _devDependencies,
  ...manifest
} = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest
writeFileSync(join(DIST, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
execFileSync('npm', ['pack', './dist', '--silent'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] })
const packed = readdirSync(ROOT).find((name) => /^dunlin-.*\.tgz$/.test(name))
console.log(`${packed}: npm install --global ./${packed}`)

/** Devices with only a Java runtime need the guest compiled; without a JDK here the package has its sources, for devices that have one. */
function makeJavaGuest(): void {
  const folder = join(DIST, 'runtime/shared-memory/guests/java')
  const sources = readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.java'))
  const classes = join(folder, 'classes')
  try {
    execFileSync('javac', ['--release', '17', '-encoding', 'UTF-8', '-d', classes, ...sources.map((name) => join(folder, 'src', name))])
    execFileSync('jar', ['--create', '--file', join(folder, 'dunlin-guest.jar'), '-C', classes, '.'])
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    console.log('No JDK here: Java functions will need one on the device (install default-jdk-headless and package again)')
  }
  rmSync(classes, { recursive: true, force: true })
}

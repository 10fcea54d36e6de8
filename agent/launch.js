#!/usr/bin/env node
// Hands over to the Node that Dunlin is built for. Plain JavaScript: it must run on whatever Node the machine has (>= 20).
//   launch.js <verb> ...          the `dunlin` command
//   launch.js --script <file> ... a script of the project (npm test, npm run check, ...)
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const here = dirname(fileURLToPath(import.meta.url))
const NODE_MAJOR_MIN = 24

/** The Node that npm installed beside us, else this one when it is new enough. node_modules/.bin/node is not reliable: npm 10 drops it. */
function findNode() {
  const require = createRequire(import.meta.url)
  try {
    const packaged = join(dirname(require.resolve(`node-linux-${process.arch}/package.json`)), 'bin', 'node')
    if (existsSync(packaged)) return packaged
  } catch {}
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN) return process.execPath
  console.error(
    `dunlin: Node ${process.versions.node} is too old and no packaged Node is installed for linux-${process.arch}\n` +
      `  run "npm ci" again without --omit=optional, or install Node >= ${NODE_MAJOR_MIN}`,
  )
  process.exit(69)
}

const args = process.argv.slice(2)
const script = args[0] === '--script' ? resolve(args.splice(0, 2)[1]) : join(here, existsSync(join(here, 'cli.ts')) ? 'cli.ts' : 'cli.js')
const node = findNode()
const argv = ['--disable-warning=ExperimentalWarning', script, ...args]

if (typeof process.execve === 'function') {
  process.execve(node, [node, ...argv], process.env)
} else {
  const child = spawn(node, argv, { stdio: 'inherit' })
  // A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone is passed on.
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  process.on('SIGINT', () => {})
  child.on('exit', (code, signal) => {
    if (signal) {
      process.removeAllListeners(signal)
      process.kill(process.pid, signal)
    } else process.exit(code ?? 1)
  })
}

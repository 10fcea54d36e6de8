import { writeFileSync } from 'node:fs'
import path from 'node:path'
import type { ExecutionContext } from 'ava'
import { fileURLToPath } from 'node:url'

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url))

/** From now until the test ends, Python functions run crash_guest.py. Returns the lines of `spec` that tell it what to do at `point`. */
export function useCrashGuest(t: ExecutionContext, directory: string, point: string): string {
  const python = path.join(directory, 'python')
  writeFileSync(python, `#!/bin/sh\nexec python3 -B "${here('./crash_guest.py')}"\n`, { mode: 0o755 })
  process.env['DUNLIN_PYTHON'] = python
  t.teardown(() => delete process.env['DUNLIN_PYTHON'])
  const env = { CRASH_AT: point, GUEST_PATH: here('../../../runtime/shared-memory/guests/python') }
  return `  runtime: python\n  handler: main:handler\n  env: [${Object.entries(env).map(([name, value]) => `{ name: ${name}, value: '${value}' }`)}]`
}

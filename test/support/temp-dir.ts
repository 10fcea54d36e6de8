import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A directory of the test's own, removed at its end. */
export function tempDir(t: { teardown(fn: () => unknown): void }): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'dunlin-test-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

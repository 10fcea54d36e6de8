/**
 * Which processes belong to a home. A `dunlin up` that was killed leaves its children a moment to end; the next one waits for
 * them, so that it finds their ports and locks free.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { sleep } from '../../runtime/base/backoff.ts'
import { readFileIfThere } from '../../runtime/base/durable-file.ts'

const POLL_MS = 50
/** Longer than a child that hangs is given by exit-with-parent.ts. */
const WAIT_MS_MAX = 25_000

export class ChildrenFile {
  readonly #file: string
  readonly #home: string

  constructor(home: string) {
    this.#home = home
    this.#file = join(home, 'run', 'children')
  }

  write(pids: readonly number[]): void {
    writeFileSync(this.#file, pids.map((pid) => `${pid}\n`).join(''), { mode: 0o600 })
  }

  /** Calls `onWait` once if there is anybody to wait for. Rejects when `signal` aborts. */
  async waitUntilGone(onWait: () => void, signal?: AbortSignal): Promise<void> {
    const pids = (readFileIfThere(this.#file) ?? '').split('\n').filter((line) => /^\d+$/.test(line))
    const deadline = performance.now() + WAIT_MS_MAX
    for (let isFirst = true; pids.some((pid) => this.#isOurs(pid)) && performance.now() < deadline; isFirst = false) {
      if (isFirst) onWait()
      await sleep(POLL_MS, signal)
    }
  }

  /** A process number is given out again; the command line tells whether it is still the one. */
  #isOurs(pid: string): boolean {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(this.#home)
    } catch {
      return false
    }
  }
}

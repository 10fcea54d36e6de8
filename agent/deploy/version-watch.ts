import { observe, newWatch, type Verdict, type Watch, type WatchEvent, WATCH_RULE, type WatchRule } from './watch-rule.ts'

export interface VersionWatchOptions {
  readonly rule?: WatchRule
  /** Called once; the version is not on watch any more. */
  readonly onProven: (name: string, version: number) => void
}

interface Watched {
  readonly version: number
  watch: Watch
  timer: NodeJS.Timeout
}

/**
 * The committed versions that have not proven themselves yet, by function or function@alias. It lives as long as the agent: after
 * a restart each watch begins anew, because only a version that ran for the whole time has shown that it can.
 */
export class VersionWatch {
  readonly #rule: WatchRule
  readonly #onProven: VersionWatchOptions['onProven']
  readonly #watched = new Map<string, Watched>()

  constructor({ rule = WATCH_RULE, onProven }: VersionWatchOptions) {
    this.#rule = rule
    this.#onProven = onProven
  }

  begin(name: string, version: number): void {
    this.stop(name)
    this.#watched.set(name, { version, watch: newWatch(performance.now()), timer: this.#timer(name, this.#rule.provenMs) })
  }

  /** What an end of a worker says; undefined: this version is not on watch. */
  observe(name: string, version: number, event: WatchEvent): Verdict | undefined {
    const watched = this.#watched.get(name)
    if (watched?.version !== version) return undefined
    const { watch, verdict } = observe(watched.watch, event, this.#rule)
    watched.watch = watch
    return verdict
  }

  stop(name: string): void {
    clearTimeout(this.#watched.get(name)?.timer)
    this.#watched.delete(name)
  }

  close(): void {
    for (const name of this.#watched.keys()) this.stop(name)
  }

  #timer(name: string, ms: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      const watched = this.#watched.get(name)!
      const atMs = performance.now()
      if (this.observe(name, watched.version, { what: 'time', atMs }) === 'proven') {
        this.stop(name)
        this.#onProven(name, watched.version)
      } else watched.timer = this.#timer(name, Math.max(1, Math.ceil(watched.watch.quietSinceMs + this.#rule.provenMs - atMs)))
    }, ms)
    timer.unref()
    return timer
  }
}

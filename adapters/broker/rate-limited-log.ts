import type { Logger } from '../../runtime/base/log.ts'

const WINDOW_MS = 10_000
const LINES_PER_WINDOW = 10

/** Warnings that a client can cause at will: a few of each kind in a window, then their number. */
export class RateLimitedLog {
  readonly #logger: Logger
  readonly #nowMs: () => number
  readonly #kinds = new Map<string, { sinceMs: number; lines: number }>()

  constructor(logger: Logger, nowMs: () => number) {
    this.#logger = logger
    this.#nowMs = nowMs
  }

  /** `kind` is a fixed text: there are few of them. */
  warn(kind: string, fields: object): void {
    const nowMs = this.#nowMs()
    let window = this.#kinds.get(kind)
    if (window === undefined || nowMs - window.sinceMs >= WINDOW_MS) {
      if (window !== undefined && window.lines > LINES_PER_WINDOW) {
        this.#logger.warn({ suppressed: window.lines - LINES_PER_WINDOW }, kind)
      }
      window = { sinceMs: nowMs, lines: 0 }
      this.#kinds.set(kind, window)
    }
    window.lines++
    if (window.lines <= LINES_PER_WINDOW) this.#logger.warn(fields, kind)
  }
}

import { BUILD_FLOOR_MS } from '../../runtime/base/clock.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { Marks } from './marks.ts'

/**
 * The last run of a cron trigger, kept over restarts. A run is noted only when its event and all before it are committed; one
 * note is on its way at a time. A note of another schedule says nothing about this one.
 */
export class CronMark {
  readonly #marks: Marks
  readonly #name: string
  readonly #schedule: string
  readonly #logger: Logger
  readonly #open = new Set<number>()
  #newestMs = 0
  #notedMs = 0
  #isWriting = false

  constructor(marks: Marks, name: string, schedule: string, logger: Logger) {
    this.#marks = marks
    this.#name = name
    this.#schedule = schedule
    this.#logger = logger
  }

  async read(): Promise<number | undefined> {
    const text = await this.#marks.get(this.#name)
    const [at, ...schedule] = (text ?? '').split(' ')
    const ms = Date.parse(at!)
    // A clock that was not set says nothing about what was missed since.
    if (!(ms >= BUILD_FLOOR_MS) || schedule.join(' ') !== this.#schedule) return undefined
    this.#newestMs = ms
    this.#notedMs = ms
    return ms
  }

  /** Whether a run has begun whose event is not committed. */
  get isOpen(): boolean {
    return this.#open.size > 0
  }

  /** A run began; `end` it, or nothing from here on is noted. */
  begin(scheduledMs: number): void {
    this.#open.add(scheduledMs)
  }

  end(scheduledMs: number, isCommitted: boolean): void {
    this.#open.delete(scheduledMs)
    if (isCommitted) this.#newestMs = Math.max(this.#newestMs, scheduledMs)
    void this.#write()
  }

  /** It was of a clock that was wrong: the next run is noted, whatever its time. */
  forget(): void {
    this.#newestMs = 0
    this.#notedMs = 0
  }

  async #write(): Promise<void> {
    if (this.#isWriting || this.#open.size > 0 || this.#newestMs === this.#notedMs) return
    this.#isWriting = true
    const ms = this.#newestMs
    try {
      await this.#marks.set(this.#name, `${new Date(ms).toISOString()} ${this.#schedule}`)
      this.#notedMs = ms
    } catch (error) {
      // The store says itself that it cannot go on. An older note means, at the worst, a run twice after a restart.
      this.#logger.debug({ error: (error as Error).message }, 'cannot note a run')
      return
    } finally {
      this.#isWriting = false
    }
    void this.#write()
  }
}

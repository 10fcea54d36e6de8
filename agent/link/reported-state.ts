/**
 * The device's side of the twin: what it runs, on each connect and on each change, at most once in `intervalMs`. Only the newest
 * state counts, so nothing is queued: a change while one is under way is told by the next.
 */
import { type Reported, topics } from '../../config/wire.ts'
import { sleep } from '../../runtime/base/backoff.ts'
import { describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { Link } from './hub-link.ts'

export interface ReportedStateOptions {
  readonly link: Link
  readonly device: string
  readonly collect: () => Promise<Reported>
  readonly logger: Logger
  readonly intervalMs?: number
}

const INTERVAL_MS = 1000

export class ReportedState {
  readonly #options: ReportedStateOptions
  readonly #stopping = new AbortController()
  #stopListening: (() => void) | undefined
  #isChanged = false
  #running: Promise<void> | undefined

  constructor(options: ReportedStateOptions) {
    this.#options = options
  }

  start(): void {
    this.#stopListening = this.#options.link.listen({ onOnline: () => this.changed() })
  }

  /** Something that is reported is different now. Cheap; call it as often as it is true. */
  changed(): void {
    this.#isChanged = true
    this.#running ??= this.#tell().finally(() => {
      this.#running = undefined
      // A change that came in the last moments, with the link up.
      if (this.#isChanged && this.#canTell()) this.changed()
    })
  }

  async close(): Promise<void> {
    this.#stopListening?.()
    this.#stopping.abort()
    await this.#running
  }

  #canTell(): boolean {
    return this.#options.link.state.name === 'online' && !this.#stopping.signal.aborted
  }

  async #tell(): Promise<void> {
    const { link, device, collect, logger, intervalMs = INTERVAL_MS } = this.#options
    await Promise.resolve()
    while (this.#isChanged && this.#canTell()) {
      this.#isChanged = false
      try {
        await link.publish(topics.reported(device), JSON.stringify(await collect()))
      } catch (error) {
        this.#isChanged = true
        logger.debug({ error: describeError(error) }, 'the reported state did not reach the hub; it goes again')
      }
      await sleep(intervalMs, this.#stopping.signal).catch(() => {})
    }
  }
}

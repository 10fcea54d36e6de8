/**
 * Function logs -> hub, in batches, when the link is up. What the hub has confirmed is not sent again; lines that were pushed out
 * of the book before they could go are counted and the hub is told how many. At most one batch is on its way.
 */
import { zstdCompress } from 'node:zlib'
import { promisify } from 'node:util'
import { topics, type LogBatch } from '../../config/wire.ts'
import { sleep } from '../../runtime/base/backoff.ts'
import { describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { isLinkGone, type Link } from '../link/hub-link.ts'
import type { LogBook, LogLine } from './log-book.ts'

const LINES_PER_BATCH = 500
/** Lines that come within this share a batch. */
const GATHER_MS = 500
const compress = promisify(zstdCompress)

export interface LogShipperOptions {
  readonly link: Link
  readonly device: string
  readonly book: LogBook
  readonly logger: Logger
}

export class LogShipper {
  readonly #options: LogShipperOptions
  readonly #stopping = new AbortController()
  #stopListening: (() => void) | undefined
  #next = 1
  #dropped = 0
  #running: Promise<void> | undefined

  constructor(options: LogShipperOptions) {
    this.#options = options
  }

  start(): void {
    const { link, book } = this.#options
    this.#stopListening = link.listen({ onOnline: () => this.#wake() })
    book.onLine = () => this.#wake()
  }

  async close(): Promise<void> {
    this.#stopListening?.()
    this.#options.book.onLine = undefined
    this.#stopping.abort()
    await this.#running
  }

  #wake(): void {
    if (this.#running || this.#stopping.signal.aborted || this.#options.link.state.name !== 'online') return
    this.#running = this.#ship()
      .catch((error: unknown) => {
        if (!isLinkGone(error)) this.#options.logger.warn({ error: describeError(error) }, 'cannot send logs to the hub')
      })
      .finally(() => {
        this.#running = undefined
      })
  }

  async #ship(): Promise<void> {
    const { book, link, device } = this.#options
    while (this.#next <= book.lastSeq) {
      await sleep(GATHER_MS, this.#stopping.signal).catch(() => {})
      if (link.state.name !== 'online') return
      if (book.firstSeq > this.#next) {
        this.#dropped += book.firstSeq - this.#next
        this.#next = book.firstSeq
      }
      const lines = book.from(this.#next, LINES_PER_BATCH)
      const dropped = this.#dropped
      const batch: LogBatch = { lines: lines.map(toWire), dropped }
      await link.publish(topics.logs(device), await compress(Buffer.from(JSON.stringify(batch))))
      this.#dropped -= dropped
      this.#next = lines.at(-1)!.seq + 1
      if (this.#stopping.signal.aborted) return
    }
  }
}

function toWire({ timeMs, level, function: name, message, fields }: LogLine): LogBatch['lines'][number] {
  return { timeMs, level, function: name, message, ...(fields ? { fields } : {}) }
}

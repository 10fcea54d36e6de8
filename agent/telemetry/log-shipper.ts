/**
 * Function logs -> hub, in batches, when the link is up. What the hub has confirmed is not sent again; lines that were pushed out
 * of the book before they could go are counted and the hub is told how many. At most one batch is on its way. A batch that ends
 * the connection again and again is given up: logs must not keep events from the hub.
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
/** Messages and fields of one batch, before packing. A line with more loses its fields. */
const CHARS_PER_BATCH = 256 * 1024
/** So often may the link end with the same batch under way. */
const LOST_MAX = 3
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
  #lost = 0
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
      const lines = withinChars(book.from(this.#next, LINES_PER_BATCH).map(toWire))
      const dropped = this.#dropped
      const batch: LogBatch = { lines, dropped }
      const payload = await compress(Buffer.from(JSON.stringify(batch)))
      try {
        await link.publish(topics.logs(device), payload)
        this.#dropped -= dropped
      } catch (error) {
        if (++this.#lost < LOST_MAX) throw error
        this.#dropped += lines.length
        this.#options.logger.warn(
          { lines: lines.length, error: describeError(error) },
          'log lines were given up: the link ended with them each time',
        )
      }
      this.#lost = 0
      this.#next += lines.length
      if (this.#stopping.signal.aborted) return
    }
  }
}

function toWire({ timeMs, level, function: name, message, fields }: LogLine): LogBatch['lines'][number] {
  return { timeMs, level, function: name, message, ...(fields ? { fields } : {}) }
}

/** The first lines that fit one batch, at least one. */
function withinChars(lines: LogBatch['lines']): LogBatch['lines'] {
  const found: LogBatch['lines'] = []
  let chars = 0
  for (const line of lines) {
    const fieldsChars = line.fields ? JSON.stringify(line.fields).length : 0
    const isTooLong = fieldsChars > CHARS_PER_BATCH
    chars += line.message.length + (isTooLong ? 0 : fieldsChars)
    if (found.length > 0 && chars > CHARS_PER_BATCH) break
    found.push(isTooLong ? { ...line, fields: { dropped: `${fieldsChars} characters of fields` } } : line)
  }
  return found
}

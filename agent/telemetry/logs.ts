/**
 * Log lines of functions and agent: the last ones for the device's own page, and all of them to the hub while it is there.
 *
 * Logs may lose their tail, events may not: lines wait in memory, a bounded number of them, and what does not fit is dropped,
 * oldest first, and counted; the count reaches the hub with the next batch. Idle, there is no timer.
 */
import { zstdCompress } from 'node:zlib'
import { promisify } from 'node:util'
import { type LogBatch, topics } from '../../config/wire.ts'
import { fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { Link } from '../link/hub-link.ts'

export type LogLine = LogBatch['lines'][number]

export interface LogShipperOptions {
  readonly link: Link
  readonly device: string
  readonly logger: Logger
  /** How long lines are gathered into one batch. */
  readonly batchMs?: number
  readonly linesMax?: number
}

const BATCH_MS = 1000
const BATCH_LINES_MAX = 1000
/** Of messages and fields, before packing. */
const BATCH_CHARS_MAX = 256 * 1024
/** A batch that ends the connection so often is dropped: it must not keep events from the hub. */
const LOST_MAX = 3
const LINES_MAX = 10_000
const RECENT_MAX = 1000
const MESSAGE_CHARS_MAX = 8192
const FIELDS_CHARS_MAX = 8192
const RETRY = { firstMs: 1000, maxMs: 60_000 }
const compress = promisify(zstdCompress)

export class LogShipper {
  readonly #options: LogShipperOptions
  readonly #linesMax: number
  readonly #stopping = new AbortController()
  #waiting: LogLine[] = []
  #recent: LogLine[] = []
  #dropped = 0
  /** How often in a row the link ended with a batch under way. */
  #lost = 0
  #stopListening: (() => void) | undefined
  #running: Promise<void> | undefined

  constructor(options: LogShipperOptions) {
    this.#options = options
    this.#linesMax = options.linesMax ?? LINES_MAX
  }

  start(): void {
    this.#stopListening ??= this.#options.link.listen({ onOnline: () => this.#ship() })
  }

  add(given: LogLine): void {
    const line = bounded(given)
    this.#recent.push(line)
    // Cut in blocks, so that a line costs no copying of all the others.
    if (this.#recent.length >= 2 * RECENT_MAX) this.#recent = this.#recent.slice(-RECENT_MAX)
    this.#waiting.push(line)
    if (this.#waiting.length > this.#linesMax) {
      const many = Math.max(1, this.#linesMax >> 3)
      this.#waiting = this.#waiting.slice(many)
      this.#dropped += many
    }
    this.#ship()
  }

  /** The last lines, oldest first: of one function, or of all and the agent. */
  recent({ function: name, limit = 100 }: { function?: string; limit?: number } = {}): LogLine[] {
    const lines = this.#recent.slice(-RECENT_MAX)
    return (name === undefined ? lines : lines.filter((line) => line.function === name)).slice(-limit)
  }

  /** Lines that wait for the hub, and lines that were dropped and not yet told. */
  get stats(): { waiting: number; dropped: number } {
    return { waiting: this.#waiting.length, dropped: this.#dropped }
  }

  /** Sends what waits if the hub is there, without waiting for a batch to fill. */
  async close(): Promise<void> {
    this.#stopListening?.()
    this.#stopping.abort()
    await this.#running
  }

  #canShip(): boolean {
    return this.#waiting.length > 0 && this.#options.link.state.name === 'online'
  }

  #ship(): void {
    if (this.#running || this.#stopping.signal.aborted || !this.#canShip()) return
    this.#running = this.#shipAll().finally(() => {
      this.#running = undefined
      this.#ship()
    })
  }

  async #shipAll(): Promise<void> {
    let failures = 0
    while (this.#canShip()) {
      const { signal } = this.#stopping
      const waitMs = failures > 0 ? fullJitterMs(failures, RETRY) : (this.#options.batchMs ?? BATCH_MS)
      await sleep(waitMs, signal).catch(() => {})
      const isSent = await this.#shipBatch()
      if (!isSent && signal.aborted) return
      failures = isSent ? 0 : failures + 1
    }
  }

  async #shipBatch(): Promise<boolean> {
    const { link, device, logger } = this.#options
    const lines = this.#waiting.slice(0, batchLength(this.#waiting))
    const dropped = this.#dropped
    this.#waiting = this.#waiting.slice(lines.length)
    try {
      await link.publish(topics.logs(device), await compress(JSON.stringify({ lines, dropped } satisfies LogBatch)))
      this.#dropped -= dropped
      this.#lost = 0
      return true
    } catch (error) {
      if (++this.#lost >= LOST_MAX) {
        this.#lost = 0
        this.#dropped += lines.length
        logger.warn(
          { lines: lines.length, error: describeError(error) },
          'log lines were dropped: the link ended with them again and again',
        )
        return false
      }
      this.#waiting = [...lines, ...this.#waiting]
      const tooMany = this.#waiting.length - this.#linesMax
      if (tooMany > 0) {
        this.#waiting = this.#waiting.slice(tooMany)
        this.#dropped += tooMany
      }
      logger.debug({ error: describeError(error) }, 'log lines did not reach the hub; they go again')
      return false
    }
  }
}

function batchLength(lines: readonly LogLine[]): number {
  let chars = 0
  let count = 0
  for (const { message, fields } of lines) {
    chars += message.length + (fields ? fieldsLength(fields) : 0)
    if (count > 0 && (chars > BATCH_CHARS_MAX || count >= BATCH_LINES_MAX)) break
    count++
  }
  return count
}

function bounded(line: LogLine): LogLine {
  const isLong = line.message.length > MESSAGE_CHARS_MAX
  const hasManyFields = line.fields !== undefined && fieldsLength(line.fields) > FIELDS_CHARS_MAX
  if (!isLong && !hasManyFields) return line
  return {
    ...line,
    ...(isLong && { message: `${line.message.slice(0, MESSAGE_CHARS_MAX)}…` }),
    ...(hasManyFields && { fields: { dropped: `fields of more than ${FIELDS_CHARS_MAX} characters` } }),
  }
}

/** Fields that are no JSON count as endless. */
function fieldsLength(fields: Record<string, unknown>): number {
  try {
    return JSON.stringify(fields).length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

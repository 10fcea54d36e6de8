/** The last lines that functions logged, in memory: for the local API, and for the shipper that takes them to the hub. */
export const LINES_MAX = 10_000
export const LINES_BYTES_MAX = 8 * 1024 * 1024
const MESSAGE_CHARS_MAX = 16_384

export type LineLevel = 'debug' | 'info' | 'warn' | 'error'

export interface LogLine {
  /** Counts up by one; a hole means that lines were pushed out. */
  readonly seq: number
  readonly timeMs: number
  readonly level: LineLevel
  readonly function: string
  readonly message: string
  readonly fields: Record<string, unknown> | undefined
}

export class LogBook {
  readonly #lines = new Map<number, LogLine>()
  #bytes = 0
  #next = 1
  #first = 1
  #onLine: (() => void) | undefined

  /** Called for each line, after it is in the book. One listener. */
  set onLine(listener: (() => void) | undefined) {
    this.#onLine = listener
  }

  /** Seq of the oldest line that is still here. */
  get firstSeq(): number {
    return this.#first
  }

  get lastSeq(): number {
    return this.#next - 1
  }

  /** `level` as in pino (10, 20, 30, 40); `fields` JSON text or empty. */
  add(functionName: string, level: number, message: string, fields: string): void {
    const seq = this.#next++
    const line: LogLine = {
      seq,
      timeMs: Date.now(),
      level: level >= 40 ? 'error' : level >= 30 ? 'warn' : level >= 20 ? 'info' : 'debug',
      function: functionName,
      message: message.length > MESSAGE_CHARS_MAX ? `${message.slice(0, MESSAGE_CHARS_MAX)} [cut]` : message,
      fields: parseFields(fields),
    }
    this.#lines.set(seq, line)
    this.#bytes += bytesOf(line)
    while (this.#lines.size > LINES_MAX || this.#bytes > LINES_BYTES_MAX) this.#dropOldest()
    this.#onLine?.()
  }

  /** The newest `limit` lines after `after`, oldest first. */
  recent({ function: name, limit, after = 0 }: { function?: string; limit: number; after?: number }): LogLine[] {
    const found: LogLine[] = []
    for (let seq = this.lastSeq; seq >= Math.max(this.firstSeq, after + 1) && found.length < limit; seq--) {
      const line = this.#lines.get(seq)!
      if (name === undefined || line.function === name) found.push(line)
    }
    return found.toReversed()
  }

  /** Lines from `first` on, at most `limit`, oldest first: what a shipper takes next. */
  from(first: number, limit: number): LogLine[] {
    const found: LogLine[] = []
    for (let seq = Math.max(first, this.firstSeq); seq <= this.lastSeq && found.length < limit; seq++) found.push(this.#lines.get(seq)!)
    return found
  }

  #dropOldest(): void {
    this.#bytes -= bytesOf(this.#lines.get(this.#first)!)
    this.#lines.delete(this.#first++)
  }
}

/** About what a line takes in memory. */
const bytesOf = ({ message, fields }: LogLine): number => 200 + 2 * message.length + (fields ? 2 * JSON.stringify(fields).length : 0)

/** Fields come from a function: what is not an object is dropped, not trusted. */
function parseFields(text: string): Record<string, unknown> | undefined {
  if (text === '') return undefined
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

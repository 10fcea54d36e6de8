/**
 * How a persistent program is spoken to over its stdin and stdout (docs/shell.md). Both framings answer in the order of the events;
 * what an answer may not be is a ProtocolError 'shell-framing', after which nothing that the program says can be understood.
 */
import { FunctionError, ProtocolError } from '../../base/errors.ts'
import { ByteQueue } from './byte-queue.ts'

export const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const HEAD_LINE_BYTES_MAX = 8192
const HEADER_LINES_MAX = 100
const SHOWN_CHARS = 60

export interface ProgramAnswer {
  readonly status: number
  readonly contentType: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface Framing {
  /** What is written for one event. Throws FunctionError when this framing cannot carry it. */
  request(fields: Readonly<Record<string, string>>, body: Buffer): Buffer[]
  /** The answers that are whole now, one by one: those before a broken one count. */
  read(chunk: Buffer): Iterable<ProgramAnswer>
  /** Something that is no whole answer has come. */
  readonly isInAnswer: boolean
}

export type FramingKind = 'frames' | 'lines'

export const framings: Readonly<Record<FramingKind, () => Framing>> = { frames: () => new Frames(), lines: () => new Lines() }

/** `EVENT <bytes> <fields>`, a line `NAME=value` for each field, the body; back: `OK <bytes>` or `FAIL <bytes>`, with headers behind. */
class Frames implements Framing {
  readonly #queue = new ByteQueue()
  #head: Head | undefined
  #headers: string[] = []

  request(fields: Readonly<Record<string, string>>, body: Buffer): Buffer[] {
    const lines = Object.entries(fields).map(([name, value]) => `${name}=${oneLine(value)}\n`)
    return [Buffer.from(`EVENT ${body.length} ${lines.length}\n${lines.join('')}`), body]
  }

  *read(chunk: Buffer): Generator<ProgramAnswer> {
    this.#queue.push(chunk)
    for (let answer = this.#next(); answer; answer = this.#next()) yield answer
  }

  get isInAnswer(): boolean {
    return this.#head !== undefined || this.#queue.length > 0
  }

  #next(): ProgramAnswer | undefined {
    this.#head ??= this.#readHead()
    if (!this.#head) return undefined
    while (this.#headers.length < this.#head.headerLines) {
      const line = this.#line()
      if (line === undefined) return undefined
      this.#headers.push(line)
    }
    const body = this.#queue.take(this.#head.bytes)
    if (!body) return undefined
    const answer = answerOf(this.#head, this.#headers, body)
    this.#head = undefined
    this.#headers = []
    return answer
  }

  #readHead(): Head | undefined {
    const line = this.#line()
    if (line === undefined) return undefined
    const [, word, bytes, headerLines = '0'] = /^(OK|FAIL) (\d{1,9})(?: (\d{1,4}))?$/.exec(line) ?? []
    if (word === undefined) throw broken(`expected a line "OK <bytes>" or "FAIL <bytes>", got ${shown(line)}`)
    const head = { isOk: word === 'OK', bytes: Number(bytes), headerLines: Number(headerLines) }
    if (head.bytes > ANSWER_BYTES_MAX) throw broken(`an answer of ${bytes} bytes, at most ${ANSWER_BYTES_MAX}`)
    if (head.headerLines > HEADER_LINES_MAX) throw broken(`an answer of ${headerLines} headers, at most ${HEADER_LINES_MAX}`)
    return head
  }

  #line(): string | undefined {
    if (this.#queue.hasLongLine(HEAD_LINE_BYTES_MAX)) throw broken(`a line of more than ${HEAD_LINE_BYTES_MAX} bytes`)
    return this.#queue.takeLine()?.toString()
  }
}

interface Head {
  readonly isOk: boolean
  readonly bytes: number
  readonly headerLines: number
}

/** A body is a line, and its answer is a line. Fields are not told. */
class Lines implements Framing {
  readonly #queue = new ByteQueue()

  request(_fields: Readonly<Record<string, string>>, body: Buffer): Buffer[] {
    const line = body.at(-1) === NEWLINE ? body.subarray(0, -1) : body
    if (line.includes(NEWLINE)) {
      throw new FunctionError('body-not-a-line', 'Cannot give the event to the program: its body has more than one line', {
        hint: 'framing: frames carries any body',
      })
    }
    return [line, END_OF_LINE]
  }

  *read(chunk: Buffer): Generator<ProgramAnswer> {
    this.#queue.push(chunk)
    for (;;) {
      if (this.#queue.hasLongLine(ANSWER_BYTES_MAX)) throw broken(`a line of more than ${ANSWER_BYTES_MAX} bytes`)
      const body = this.#queue.takeLine()
      if (!body) return
      yield { status: 200, contentType: undefined, headers: {}, body }
    }
  }

  get isInAnswer(): boolean {
    return this.#queue.length > 0
  }
}

const NEWLINE = 10
const END_OF_LINE = Buffer.from('\n')

/** `Status` and `Content-Type` as in CGI; a status of 500 or more is a failure, as from every handler. */
function answerOf({ isOk }: Head, lines: readonly string[], body: Buffer): ProgramAnswer {
  const headers: Record<string, string> = {}
  let status = isOk ? 200 : 500
  let contentType: string | undefined
  for (const line of lines) {
    const [, name, value] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]{1,255}): ?(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw broken(`expected a header "Name: value", got ${shown(line)}`)
    const key = name.toLowerCase()
    if (key === 'status') status = statusOf(value, isOk)
    else if (key === 'content-type') contentType = value
    else headers[name] = value
  }
  return { status, contentType, headers, body }
}

function statusOf(value: string, isOk: boolean): number {
  if (!/^[1-5]\d\d$/.test(value)) throw broken(`expected a status from 100 to 599, got ${shown(value)}`)
  return isOk ? Number(value) : Math.max(500, Number(value))
}

/** What would end the line is written as in a URL; so is "%". */
function oneLine(value: string): string {
  return value.replace(/[%\n\r\0]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

function broken(what: string): ProtocolError {
  return new ProtocolError('shell-framing', `Program broke the framing: ${what}`, { hint: 'what is no answer belongs on stderr' })
}

function shown(line: string): string {
  return JSON.stringify(line.length > SHOWN_CHARS ? `${line.slice(0, SHOWN_CHARS)}...` : line)
}

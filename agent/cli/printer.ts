/** What a command says: results on stdout (text for people, or JSON with -o json), remarks on stderr. */
import { styleText } from 'node:util'

export interface Terminal {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

type Colour = 'green' | 'red' | 'yellow' | 'dim' | 'bold'

export class Printer {
  readonly isJson: boolean
  readonly isTty: boolean
  readonly #out: Terminal
  readonly #err: Terminal
  readonly #isColoured: boolean

  constructor(parts: { out: Terminal; err: Terminal; isJson: boolean; env: Readonly<Record<string, string | undefined>> }) {
    this.#out = parts.out
    this.#err = parts.err
    this.isJson = parts.isJson
    this.isTty = parts.out.isTTY === true
    // https://no-color.org: set and not empty means no colour.
    this.#isColoured = this.isTty && !parts.isJson && !parts.env['NO_COLOR'] && parts.env['TERM'] !== 'dumb'
  }

  /** The result of a command: one JSON document, or text. */
  result(value: unknown, text: () => string): void {
    if (this.isJson) this.#out.write(`${JSON.stringify(value, null, 2)}\n`)
    else this.line(text())
  }

  /** One of many: a JSON line, or a line of text. */
  item(value: unknown, text: () => string): void {
    if (this.isJson) this.#out.write(`${JSON.stringify(value)}\n`)
    else this.line(text())
  }

  line(text: string): void {
    this.#out.write(text.endsWith('\n') || text === '' ? text : `${text}\n`)
  }

  /** Bytes as they are. */
  raw(bytes: Buffer): void {
    this.#out.write(bytes as unknown as string)
  }

  remark(text: string): void {
    this.#err.write(`${text}\n`)
  }

  paint(colour: Colour, text: string): string {
    return this.#isColoured ? styleText(colour, text, { validateStream: false }) : text
  }

  /** Columns of the terminal; nothing is cut when it is none. */
  get width(): number {
    return this.isTty ? (this.#out.columns ?? 80) : Infinity
  }
}

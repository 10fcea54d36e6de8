/**
 * Where `dunlin up` speaks. On a terminal: lines that scroll, and below them one line that is drawn anew each second. Anywhere
 * else: plain lines, the status among them every ten seconds.
 */
import type { Terminal } from '../cli/printer.ts'
import { cut } from '../cli/table.ts'

const PLAIN_EVERY_MS = 10_000
const CLEAR_LINE = '\r\u001b[2K'

export class LiveTerminal {
  readonly #out: Terminal
  readonly #isLive: boolean
  #line = ''
  #plainMs = performance.now()

  constructor(out: Terminal, env: Readonly<Record<string, string | undefined>>) {
    this.#out = out
    this.#isLive = out.isTTY === true && env['TERM'] !== 'dumb'
  }

  print(text: string): void {
    if (this.#line === '') this.#out.write(`${text}\n`)
    else this.#out.write(`${CLEAR_LINE}${text}\n${this.#line}`)
  }

  /** `paint` adds colour after the line has been cut to the terminal. */
  status(text: string, paint: (text: string) => string = (plain) => plain): void {
    if (this.#isLive) {
      this.#line = paint(cut(text, (this.#out.columns ?? 80) - 1))
      this.#out.write(CLEAR_LINE + this.#line)
      return
    }
    const nowMs = performance.now()
    if (nowMs - this.#plainMs < PLAIN_EVERY_MS) return
    this.#plainMs = nowMs
    this.#out.write(`${text}\n`)
  }

  /** The status line stays as it was last, and what follows begins below it. */
  endStatus(): void {
    if (this.#line !== '') this.#out.write('\n')
    this.#line = ''
  }
}

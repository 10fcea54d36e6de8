/**
 * Nuclio's inline configuration: function.yaml in the comments of a handler file.
 *
 *     # @nuclio.configure
 *     #
 *     # function.yaml:
 *     #   spec:
 *     #     handler: reverser:handler
 *
 * The block ends at the first line that is no comment. Other keys beside `function.yaml` count for nothing, as in Nuclio.
 */
import type { RuntimeKind } from '../../config/function-config.ts'

const COMMENT: Readonly<Record<RuntimeKind, RegExp | null>> = {
  python: /^\s*#/,
  shell: /^\s*#/,
  nodejs: /^\s*\/\//,
  java: /^\s*\/\//,
  golang: /^\s*\/\//,
  native: null,
}

const START = /^\s*@nuclio\.configure\s*$/
const KEY = /^(\s*)(["']?)function\.yaml\2\s*:(?=\s|$)/

/**
 * The document, as a text in which every character stands at its line and column of the file: what is no part of the document is
 * blank. null: the file has none.
 */
export function inlineConfig(source: string, runtime: RuntimeKind): string | null {
  const comment = COMMENT[runtime]
  if (!comment) return null
  const lines = source.split(/\r?\n/)
  const contents = lines.map((line) => contentOf(line, comment))
  const start = contents.findIndex((content) => content !== null && START.test(content))
  if (start < 0) return null
  const end = contents.findIndex((content, index) => index > start && content === null)
  const block = contents.slice(start + 1, end < 0 ? undefined : end) as string[]
  const key = block.findIndex((content) => KEY.test(content))
  if (key < 0) return null
  const first = KEY.exec(block[key]!)!
  const next = block.findIndex((content, index) => index > key && isAtOrLeftOf(content, first[1]!.length))
  const rest = block.slice(key + 1, next < 0 ? undefined : next)
  const head = blank(first[0]) + block[key]!.slice(first[0].length)
  return [...lines.slice(0, start + 1 + key).map(() => ''), head, ...rest].join('\n')
}

/** A comment without its sign, which becomes as many blanks; null: the line is no comment. */
function contentOf(line: string, comment: RegExp): string | null {
  const sign = comment.exec(line)?.[0]
  return sign === undefined ? null : blank(sign) + line.slice(sign.length)
}

function isAtOrLeftOf(content: string, column: number): boolean {
  const indent = content.search(/\S/)
  return indent >= 0 && indent <= column && content[indent] !== '#'
}

function blank(text: string): string {
  return ' '.repeat(text.length)
}

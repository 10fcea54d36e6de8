/**
 * A YAML text, its plain value, and where each part of it stands. Everything that is wrong with the text itself (syntax, keys
 * written twice, unknown tags, aliases that multiply, a text that is too long) is a problem with a place, never a thrown parser error.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import type { Problems } from './problems.ts'

/** A file that a person writes stays far below; more is a mistake or an attack. */
export const CONFIG_BYTES_MAX = 1024 * 1024
/** Aliases resolved at the most: enough for `&common`, too few for a "billion laughs". */
const ALIASES_MAX = 100
/** After the first few, syntax errors only follow from each other. */
const SYNTAX_FAULTS_MAX = 5

export type Path = ReadonlyArray<string | number>

export interface Place {
  readonly line: number
  readonly column: number
}

export class YamlSource {
  readonly #document: Document
  readonly #lines: LineCounter
  /** Plain data. A key without a value counts as absent, so that a section may stand with all its lines commented out. */
  readonly value: unknown

  private constructor(document: Document, lines: LineCounter, value: unknown) {
    this.#document = document
    this.#lines = lines
    this.value = value
  }

  /** null when the text cannot be used; the reasons are in `problems`. */
  static parse(text: string, problems: Problems): YamlSource | null {
    const bytes = Buffer.byteLength(text)
    if (bytes > CONFIG_BYTES_MAX) {
      problems.addAt({ line: 0, column: 0 }, '', `expected at most ${CONFIG_BYTES_MAX} bytes, got ${bytes}`)
      return null
    }
    const lines = new LineCounter()
    const before = problems.count
    try {
      // uniqueKeys compares each key with all others; reportDuplicateKeys does it in one pass.
      const document = parseDocument(text, { lineCounter: lines, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' })
      const faults = [...document.errors, ...document.warnings]
      // A text nested thousands deep ends the parser's stack; it says so in an error of its own.
      if (faults.some(({ message }) => message.includes('call stack'))) throw new RangeError('nested too deep')
      for (const { pos, message } of faults.slice(0, SYNTAX_FAULTS_MAX)) problems.addAt(placeOf(lines, pos[0]), '', firstLine(message))
      reportDuplicateKeys(document.contents, lines, [], problems)
      if (problems.count > before) return null
      return new YamlSource(document, lines, withoutNulls(document.toJS({ maxAliasCount: ALIASES_MAX })))
    } catch (error) {
      // RangeError: nested too deep, here or in our own walks. ReferenceError: one alias too many.
      if (error instanceof RangeError) problems.addAt({ line: 1, column: 1 }, '', 'expected a text nested a few levels deep, got thousands')
      else if (error instanceof ReferenceError)
        problems.addAt({ line: 1, column: 1 }, '', `expected at most ${ALIASES_MAX} aliases, got more (they multiply)`)
      else throw error
      return null
    }
  }

  /** Where the value at `path` stands; for what is not there, the nearest part around it. */
  placeOfValue(path: Path): Place {
    return this.#place(path, false)
  }

  /** Where the last key of `path` stands. */
  placeOfKey(path: Path): Place {
    return this.#place(path, true)
  }

  #place(path: Path, ofKey: boolean): Place {
    let node: Node | null | undefined = this.#document.contents
    let offset = node?.range?.[0] ?? 0
    for (const [depth, step] of path.entries()) {
      if (isAlias(node)) node = node.resolve(this.#document)
      if (isMap(node)) {
        const pair = node.items.find((item) => keyText(item.key) === String(step))
        if (!pair) break
        const keyOffset = (pair.key as Node | null)?.range?.[0] ?? offset
        node = pair.value as Node | null
        const isLast = depth === path.length - 1
        offset = isLast && ofKey ? keyOffset : (node?.range?.[0] ?? keyOffset)
      } else if (isSeq(node)) {
        node = node.items[Number(step)] as Node | undefined
        if (!node) break
        offset = node.range?.[0] ?? offset
      } else break
    }
    return placeOf(this.#lines, offset)
  }
}

function placeOf(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line, column: col }
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : String(key)
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]!
}

function reportDuplicateKeys(node: unknown, lines: LineCounter, path: Path, problems: Problems): void {
  if (isSeq(node)) {
    for (const [index, item] of node.items.entries()) reportDuplicateKeys(item, lines, [...path, index], problems)
  } else if (isMap(node)) {
    const seen = new Map<string, number>()
    for (const { key, value } of node.items) {
      const text = keyText(key)
      const offset = (key as Node | null)?.range?.[0] ?? 0
      const first = seen.get(text)
      if (first === undefined) seen.set(text, offset)
      else
        problems.addAt(
          placeOf(lines, offset),
          [...path, text],
          `expected each key once, got it again (first on line ${placeOf(lines, first).line})`,
        )
      reportDuplicateKeys(value, lines, [...path, text], problems)
    }
  }
}

/** Deletes, in place, the keys that have no value. Aliased parts are shared, so each is visited once. */
function withoutNulls(root: unknown): unknown {
  const seen = new Set<object>()
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null || seen.has(value)) return
    seen.add(value)
    if (Array.isArray(value)) value.forEach(visit)
    else {
      const map = value as Record<string, unknown>
      for (const key of Object.keys(map)) {
        if (map[key] === null) delete map[key]
        else visit(map[key])
      }
    }
  }
  visit(root)
  return root
}

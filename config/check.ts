/**
 * Checks a part of a YAML document against a schema. Every problem is gathered with its place and in one form: `expected X, got Y`.
 * In a schema, a validation's message is the X alone (`at least 1`); types speak for themselves (schema-walk.ts).
 */
import * as v from 'valibot'
import { guess } from './guess.ts'
import type { Problems } from './problems.ts'
import { expectation, misfits, schemaAt } from './schema-walk.ts'
import type { Path, Place, YamlSource } from './yaml-source.ts'

const SECRET_KEY = /password|token|secret/i
const SHOWN_MAX = 60

/** The values given on the command line lie over those of the file. */
export interface Overlay {
  readonly name: string
  readonly value: unknown
}

export class Checker {
  readonly source: YamlSource
  readonly problems: Problems
  readonly #overlay: Overlay | null
  readonly #root: unknown

  constructor(source: YamlSource, problems: Problems, overlay: Overlay | null = null) {
    this.source = source
    this.problems = problems
    this.#overlay = overlay
    this.#root = overlay ? merged(source.value ?? {}, overlay.value) : source.value
  }

  /** The schema's output for the part at `path`, or null after its problems were noted. */
  check<const S extends v.GenericSchema>(schema: S, path: Path = []): v.InferOutput<S> | null {
    const before = this.problems.count
    const value = this.valueAt(path) ?? (path.length === 0 ? {} : undefined)
    const lists: string[] = []
    for (const { path: rest, known } of misfits(schema, value)) {
      const at = [...path, ...rest]
      if (known) this.#addUnknownKey(at, known)
      else {
        lists.push(at.join('\0'))
        this.add(at, 'expected a map, got a list')
      }
    }
    const result = v.safeParse(schema, value, { abortPipeEarly: true })
    for (const issue of result.issues ?? []) {
      const rest = (issue.path ?? []).map(({ key }) => key as string | number)
      const at = [...path, ...rest]
      const isUnknownKey = issue.kind === 'schema' && issue.expected === 'never'
      const isBelowList = lists.some((list) => at.join('\0').startsWith(list))
      if (!isUnknownKey && !isBelowList) this.add(at, `expected ${this.#expected(issue, schema, rest)}, got ${this.#got(at)}`)
    }
    return result.success && this.problems.count === before ? result.output : null
  }

  /** Notes a problem with the value at `path`. */
  add(path: Path, message: string, hint: string | null = null): void {
    if (this.isOverlaid(path)) this.problems.addAt({ line: 0, column: 0 }, path, message, hint, this.#overlay!.name)
    else this.problems.addAt(this.source.placeOfValue(path), path, message, hint)
  }

  /** The value as it was given; undefined when there is none. */
  valueAt(path: Path): unknown {
    return valueAt(this.#root, path)
  }

  placeOfKey(path: Path): Place {
    return this.source.placeOfKey(path)
  }

  /** Whether the value at `path` is the command line's. A section that both have counts as the file's. */
  isOverlaid(path: Path): boolean {
    const over = valueAt(this.#overlay?.value, path)
    return over !== undefined && (!isMap(over) || valueAt(this.source.value ?? {}, path) === undefined)
  }

  #addUnknownKey(path: Path, known: readonly string[]): void {
    const meant = guess(String(path.at(-1)), known)
    const hint = meant ? `did you mean "${meant}"?` : `known here: ${known.join(', ')}`
    if (this.isOverlaid(path)) this.add(path, 'unknown key', hint)
    else this.problems.addAt(this.placeOfKey(path), path, 'unknown key', hint)
  }

  #expected(issue: v.BaseIssue<unknown>, schema: v.GenericSchema, path: Path): string {
    // valibot's own texts for a wrong type begin so; any other text is a field's.
    if (issue.kind !== 'schema' || !issue.message.startsWith('Invalid ')) return issue.message
    const at = schemaAt(schema, path)
    return at ? expectation(at) : (issue.expected ?? 'something else')
  }

  #got(path: Path): string {
    const value = this.valueAt(path)
    if (value === undefined || value === null) return 'nothing'
    if (typeof path.at(-1) === 'string' && SECRET_KEY.test(String(path.at(-1)))) return 'a value not shown here'
    return shown(value)
  }
}

/** A value in an error text: short, and never a whole document. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a map'
  const text = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `over` lies on `under`, map by map; undefined lets the lower value show, and what is no map where one belongs stays, to be reported. */
function merged(under: unknown, over: unknown): unknown {
  if (over === undefined) return under
  if (!isMap(over) || under === undefined) return over
  if (!isMap(under)) return under
  const result: Record<string, unknown> = { ...under }
  for (const [key, value] of Object.entries(over)) result[key] = merged(Object.hasOwn(under, key) ? under[key] : undefined, value)
  return result
}

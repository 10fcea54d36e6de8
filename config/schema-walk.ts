/** Reads valibot schemas: what a schema expects in words, which schema stands at a path, and which keys nobody knows. */
import type * as v from 'valibot'
import type { Path } from './yaml-source.ts'

type Schema = v.GenericSchema
/** The parts of the schema kinds that config/ uses. */
interface Parts {
  readonly type: string
  readonly wrapped?: Schema
  readonly entries?: Readonly<Record<string, Schema>>
  readonly value?: Schema
  readonly item?: Schema
  readonly options?: readonly unknown[]
  readonly literal?: unknown
}

const parts = (schema: Schema): Parts => {
  const found = schema as unknown as Parts
  return found.wrapped ? parts(found.wrapped) : found
}

/** `a map`, `a string`, `one of durable, direct`. */
export function expectation(schema: Schema): string {
  const { type, options, literal } = parts(schema)
  switch (type) {
    case 'string':
      return 'a string'
    case 'number':
      return 'a number'
    case 'boolean':
      return 'true or false'
    case 'array':
      return 'a list'
    case 'strict_object':
    case 'loose_object':
    case 'record':
      return 'a map'
    case 'picklist':
      return `one of ${options!.join(', ')}`
    case 'literal':
      return String(literal)
    case 'union':
      return (options as readonly Schema[]).map(expectation).join(' or ')
    default:
      return 'a value'
  }
}

export function schemaAt(root: Schema, path: Path): Schema | null {
  let schema: Schema | undefined = root
  for (const step of path) {
    const { entries, value, item } = parts(schema)
    schema = typeof step === 'number' ? item : entries ? (Object.hasOwn(entries, step) ? entries[step] : undefined) : value
    if (!schema) return null
  }
  return schema
}

export interface Misfit {
  readonly path: Path
  /** null: the value is a list where a map belongs (valibot takes a list for an object). */
  readonly known: readonly string[] | null
}

/** Every unknown key below `value` (valibot reports the first of each map only), and every list in a map's place. */
export function misfits(root: Schema, value: unknown, path: Path = []): Misfit[] {
  if (typeof value !== 'object' || value === null) return []
  const { type, entries, value: recordValue, item } = parts(root)
  if (Array.isArray(value)) {
    if (expectation(root) === 'a map') return [{ path, known: null }]
    return item ? value.flatMap((child, index) => misfits(item, child, [...path, index])) : []
  }
  if (recordValue) return Object.entries(value).flatMap(([key, child]) => misfits(recordValue, child, [...path, key]))
  if (!entries) return []
  const known = Object.keys(entries)
  return Object.entries(value).flatMap(([key, child]) => {
    const schema = Object.hasOwn(entries, key) ? entries[key] : undefined
    if (schema) return misfits(schema, child, [...path, key])
    return type === 'strict_object' ? [{ path: [...path, key], known }] : []
  })
}

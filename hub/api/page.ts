import { InputError } from '../../runtime/base/errors.ts'

/** `?limit=` as a number from 1 to `max`. */
export function limitOf(query: URLSearchParams, options: { max: number; fallback: number }): number {
  const text = query.get('limit')
  if (text === null) return options.fallback
  const limit = Number(text)
  if (!Number.isInteger(limit) || limit < 1 || limit > options.max)
    throw new InputError('query-invalid', `Cannot use limit=${text}: expected 1 to ${options.max}`)
  return limit
}

/** A whole number from 0 in the query, or 0. */
export function cursorOf(query: URLSearchParams, name = 'after'): number {
  const text = query.get(name) ?? '0'
  const cursor = Number(text)
  if (!Number.isSafeInteger(cursor) || cursor < 0)
    throw new InputError('query-invalid', `Cannot use ${name}=${text}: expected what "next" said`)
  return cursor
}

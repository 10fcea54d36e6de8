import { InputError } from '../../runtime/base/errors.ts'

export interface ByteRange {
  readonly first: number
  readonly last: number
}

/** One range of a `Range` header (RFC 9110, 14.2). undefined: send the whole; several ranges are answered with the whole, too. Throws 'range-invalid'. */
export function parseRange(header: string | undefined, size: number): ByteRange | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '')
  if (!match || (match[1] === '' && match[2] === '')) return undefined
  const [from, to] = [match[1]!, match[2]!]
  const first = from === '' ? Math.max(0, size - Number(to)) : Number(from)
  const last = from === '' || to === '' ? size - 1 : Math.min(size - 1, Number(to))
  if (from !== '' && to !== '' && Number(to) < Number(from)) return undefined
  if (first >= size || first > last) throw new InputError('range-invalid', `Cannot send ${header}: there are ${size} bytes`)
  return { first, last }
}

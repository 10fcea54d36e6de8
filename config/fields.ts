/** The kinds of fields that configs are made of. A validation's message is what was expected, without the word (see check.ts). */
import * as v from 'valibot'
import type { Listen } from './listen.ts'
import { topicFilterFault } from './topic-filter.ts'
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseDurationMs,
  parseQuantityBytes,
  parseSizeBytes,
  QUANTITY_PATTERN,
  SIZE_PATTERN,
} from './units.ts'

const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):(\d{1,5})$/
const TEXT_MAX = 4096
const DURATION_EXPECTED = 'a duration such as "20s", "500ms" or "1m30s"'
const SIZE_EXPECTED = 'a size such as "64MiB" or "10MB"'
const QUANTITY_EXPECTED = 'a quantity such as "128Mi", "1Gi" or "500M"'
const LISTEN_EXPECTED = 'host:port, such as "127.0.0.1:1883" or "0.0.0.0:1883"'

const DURATION_OR_EMPTY = new RegExp(`^$|${DURATION_PATTERN.source}`)

interface Range {
  readonly min: number
  readonly max: number
}

export const integer = ({ min, max }: Range) =>
  v.pipe(v.number(), v.integer('a whole number'), v.minValue(min, `at least ${min}`), v.maxValue(max, `at most ${max}`))

export const fraction = ({ min, max }: Range) => v.pipe(v.number(), v.minValue(min, `at least ${min}`), v.maxValue(max, `at most ${max}`))

/** Not empty, and no longer than `max` characters. */
export const text = (max = TEXT_MAX) => v.pipe(v.string(), v.nonEmpty('some text'), v.maxLength(max, `at most ${max} characters`))

/** Given as `20s` or `1m30s`, milliseconds inside. */
export const duration = ({ min, max }: Range) =>
  v.pipe(
    v.string(DURATION_EXPECTED),
    v.regex(DURATION_PATTERN, DURATION_EXPECTED),
    v.transform(parseDurationMs),
    v.minValue(min, `at least ${formatDuration(min)}`),
    v.maxValue(max, `at most ${formatDuration(max)}`),
  )

/** A duration that is also left out when it is written as "", as in the documents that Nuclio exports. */
export const durationOr = (fallback: string, range: Range) =>
  v.optional(
    v.pipe(
      v.string(DURATION_EXPECTED),
      v.regex(DURATION_OR_EMPTY, DURATION_EXPECTED),
      v.transform((given) => given || fallback),
      duration(range),
    ),
    fallback,
  )

/** Given as `64MiB`, bytes inside. */
export const size = ({ min, max }: Range) =>
  v.pipe(
    v.string(SIZE_EXPECTED),
    v.regex(SIZE_PATTERN, SIZE_EXPECTED),
    v.transform(parseSizeBytes),
    v.minValue(min, `at least ${formatSize(min)}`),
    v.maxValue(max, `at most ${formatSize(max)}`),
  )

/** Given as `128Mi`, `1G` or a number of bytes, as in Kubernetes. */
export const quantity = ({ min, max }: Range) =>
  v.pipe(
    v.union([v.string(), v.number()], QUANTITY_EXPECTED),
    v.transform(String),
    v.regex(QUANTITY_PATTERN, QUANTITY_EXPECTED),
    v.transform(parseQuantityBytes),
    v.minValue(min, `at least ${formatSize(min)}`),
    v.maxValue(max, `at most ${formatSize(max)}`),
  )

export const port = integer({ min: 1, max: 65_535 })

/** Given as `127.0.0.1:1883` or `[::1]:1883`. The host is never left out: listening everywhere is written down. */
export const listen = v.pipe(
  v.string(LISTEN_EXPECTED),
  v.regex(HOST_PORT, LISTEN_EXPECTED),
  v.transform((given): Listen => {
    const [, host, portText] = HOST_PORT.exec(given)!
    return { host: host!.replace(/^\[|\]$/g, ''), port: Number(portText) }
  }),
  v.check(({ port: number }) => number <= 65_535, 'a port of at most 65535'),
)

export const topicFilter = v.pipe(
  v.string(),
  v.check(
    (given) => topicFilterFault(given) === null,
    (issue) => topicFilterFault(issue.input) ?? 'a topic filter',
  ),
)

export const stringMap = v.record(v.string(), v.string())

/** A section that may be left out: its own defaults make it whole. */
export const section = <const E extends v.ObjectEntries>(entries: E) =>
  v.optional(v.strictObject(entries), () => ({}) as v.InferInput<v.StrictObjectSchema<E, undefined>>)

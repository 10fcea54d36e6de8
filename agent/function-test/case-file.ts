/** The cases of a function: YAML files with what is given and what must come of it. docs/testing.md shows one. */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { parse } from 'yaml'
import { Checker } from '../../config/check.ts'
import { Problems } from '../../config/problems.ts'
import { YamlSource } from '../../config/yaml-source.ts'
import type { SyntheticEvent } from '../source/synthetic-event.ts'
import type { Expected } from './compare.ts'

/** Of one file. */
const CASES_MAX = 10_000

export interface TestCase {
  readonly name: string
  readonly event: SyntheticEvent
  /** undefined: it must not fail, whatever it answers. */
  readonly expected: Expected | undefined
}

const texts = v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])), {})

const Event = v.strictObject({
  trigger: v.optional(v.string()),
  topic: v.optional(v.string()),
  method: v.optional(v.string()),
  path: v.optional(v.string()),
  url: v.optional(v.string()),
  type: v.optional(v.string()),
  contentType: v.optional(v.string()),
  headers: texts,
  fields: texts,
  qos: v.optional(v.pipe(v.number(), v.integer('0, 1 or 2'), v.minValue(0, '0, 1 or 2'), v.maxValue(2, '0, 1 or 2'))),
  retain: v.optional(v.boolean()),
  /** A text, or what is sent as JSON. */
  body: v.optional(v.unknown()),
  /** Beside the file of cases. */
  bodyFile: v.optional(v.string()),
  bodyBase64: v.optional(v.pipe(v.string(), v.base64('base64'))),
})

const Message = v.strictObject({ topic: v.optional(v.unknown()), body: v.optional(v.unknown()), qos: v.optional(v.number()) })

const Expect = v.strictObject({
  status: v.optional(v.unknown()),
  contentType: v.optional(v.unknown()),
  headers: v.optional(v.record(v.string(), v.unknown())),
  body: v.optional(v.unknown()),
  error: v.optional(v.unknown()),
  emits: v.optional(v.array(v.strictObject({ stream: v.string(), body: v.optional(v.unknown()) }))),
  publishes: v.optional(v.array(Message)),
  state: v.optional(v.record(v.string(), v.unknown())),
  logs: v.optional(v.array(v.unknown())),
})

const Cases = v.strictObject({
  cases: v.pipe(
    v.array(v.strictObject({ name: v.string(), event: v.optional(Event, {}), expect: v.optional(Expect) })),
    v.minLength(1, 'at least one case'),
    v.maxLength(CASES_MAX, `at most ${CASES_MAX} cases`),
  ),
})

/** Throws ConfigError with the place of every problem. */
export function readCases(file: string): TestCase[] {
  const text = readFileSync(file, 'utf8')
  const problems = new Problems(file)
  const source = YamlSource.parse(text, problems)
  const document = source && new Checker(source, problems).check(Cases)
  problems.throwIfAny()
  // As written: a null that is expected is no absent key.
  const written = parse(text) as { cases: { event?: { body?: unknown }; expect?: Expected | null }[] }
  return document!.cases.map(({ name, event }, index) => {
    const { body: _body, bodyFile, bodyBase64, headers, fields, contentType, ...rest } = event
    const given = bodyOf(file, written.cases[index]!.event?.body, bodyFile, bodyBase64)
    const type = contentType ?? given.contentType
    return {
      name,
      event: {
        ...withoutUndefined(rest),
        headers: asTexts(headers),
        fields: asTexts(fields),
        body: given.body,
        ...(type === undefined ? {} : { contentType: type }),
      },
      expected: written.cases[index]!.expect ?? undefined,
    }
  })
}

function bodyOf(
  file: string,
  body: unknown,
  bodyFile: string | undefined,
  base64: string | undefined,
): { body: Buffer; contentType?: string } {
  if (bodyFile !== undefined) return { body: readFileSync(resolve(dirname(file), bodyFile)) }
  if (base64 !== undefined) return { body: Buffer.from(base64, 'base64') }
  if (body === undefined) return { body: Buffer.alloc(0) }
  if (typeof body === 'string') return { body: Buffer.from(body) }
  return { body: Buffer.from(JSON.stringify(body)), contentType: 'application/json' }
}

function asTexts(map: Readonly<Record<string, string | number | boolean>>): Record<string, string> {
  return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, String(value)]))
}

function withoutUndefined<T extends object>(map: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(map).filter(([, value]) => value !== undefined)) as never
}

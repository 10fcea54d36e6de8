import { InputError } from '../../runtime/base/errors.ts'
import { answerOf } from '../../runtime/dispatch/delivery.ts'
import { RECORDED_EVENTS_MAX, type HandledEvent } from '../../runtime/dispatch/handled-tap.ts'
import { bodyOf, headOf } from '../../runtime/event/event-writer.ts'
import { findItem, itemsOf } from '../../runtime/event/head.ts'
import { AT, Flag, Kind, Tag } from '../../runtime/event/record.ts'
import type { Processor } from '../../runtime/processor.ts'
import type { LocalRequest, LocalResponse } from './local-api.ts'

const WAIT_MS_MAX = 3_600_000
const TEXTS = [
  ['topic', Tag.topic],
  ['method', Tag.method],
  ['path', Tag.path],
  ['url', Tag.url],
  ['type', Tag.type],
  ['contentType', Tag.contentType],
] as const

/** GET /v1/functions/:name/record?count=&timeoutMs= : waits for that many events, and gives them as cases of `dunlin test`. */
export async function recordHandled(processor: Processor, { params, query }: LocalRequest): Promise<LocalResponse> {
  const name = params['name']!
  if (!processor.status().some((running) => running.name === name)) throw new InputError('not-found', `There is no function "${name}" here`)
  const count = bounded(query.get('count') ?? '10', 'count', RECORDED_EVENTS_MAX)
  const timeoutMs = bounded(query.get('timeoutMs') ?? '60000', 'timeoutMs', WAIT_MS_MAX)
  const handled = await processor.tap.record(name, count, AbortSignal.timeout(timeoutMs))
  return { body: { cases: handled.map((event, index) => caseOf(event, index + 1)) } }
}

function caseOf({ trigger, event, result, operations }: HandledEvent, number: number): object {
  const head = headOf(event)
  const texts = Object.fromEntries(TEXTS.map(([key, tag]) => [key, findItem(head, tag)]).filter(([, value]) => value !== undefined))
  const flags = event[AT.flags]!
  const qos = flags & Flag.qosMask
  const headers = itemsOf(head, Tag.header)
  const fields = itemsOf(head, Tag.field)
  const { status, body } = answerOf(result)
  const emits = operations.filter((record) => record[AT.kind] === Kind.emit)
  const publishes = operations.filter((record) => record[AT.kind] === Kind.publish)
  return {
    name: `${number}: ${findItem(head, Tag.topic) ?? findItem(head, Tag.path) ?? trigger}`,
    event: {
      trigger,
      ...texts,
      ...(qos > 0 ? { qos } : {}),
      ...((flags & Flag.retain) === 0 ? {} : { retain: true }),
      ...(Object.keys(headers).length > 0 ? { headers } : {}),
      ...(Object.keys(fields).length > 0 ? { fields } : {}),
      ...given(bodyOf(event)),
    },
    expect: {
      status,
      body: expected(body),
      emits: emits.map((record) => ({ stream: findItem(headOf(record), Tag.stream), body: expected(bodyOf(record)) })),
      ...(publishes.length > 0
        ? { publishes: publishes.map((record) => ({ topic: findItem(headOf(record), Tag.topic), body: expected(bodyOf(record)) })) }
        : {}),
    },
  }
}

/** Exactly the bytes: a text stays a text, also when it is JSON. */
function given(body: Buffer): { body: string } | { bodyBase64: string } {
  const text = body.toString('utf8')
  return Buffer.from(text).equals(body) ? { body: text } : { bodyBase64: body.toString('base64') }
}

/** JSON as what it holds; what is no text is only there. */
function expected(body: Buffer): unknown {
  const text = body.toString('utf8')
  try {
    const value = JSON.parse(text) as unknown
    if (typeof value === 'object') return value
  } catch {
    // A text.
  }
  return Buffer.from(text).equals(body) ? text : { $any: true }
}

function bounded(text: string, name: string, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new InputError('query-invalid', `Cannot read ?${name}=${text.slice(0, 40)}: expected a whole number from 1 to ${max}`)
  }
  return value
}

import { InputError } from '../../runtime/base/errors.ts'
import type { EventWriter } from '../../runtime/event/event-writer.ts'
import { Flag, Tag } from '../../runtime/event/record.ts'

/** An event that somebody made up: `dunlin invoke`, a case of `dunlin test`. What is left out is not in the event. */
export interface SyntheticEvent {
  /** Name or kind of the trigger that it shall seem to come from. */
  readonly trigger?: string
  readonly topic?: string
  readonly method?: string
  readonly path?: string
  readonly url?: string
  readonly contentType?: string
  readonly type?: string
  readonly headers: Readonly<Record<string, string>>
  readonly fields: Readonly<Record<string, string>>
  readonly qos?: number
  readonly retain?: boolean
  readonly body: Uint8Array
}

const TAGS = [
  ['topic', Tag.topic],
  ['method', Tag.method],
  ['path', Tag.path],
  ['url', Tag.url],
  ['contentType', Tag.contentType],
  ['type', Tag.type],
] as const

/** The record of the event. Throws InputError 'event-invalid'. */
export function syntheticRecord(events: EventWriter, event: SyntheticEvent): Buffer {
  const { qos = 0, retain = false, headers, fields, body } = event
  if (qos !== 0 && qos !== 1 && qos !== 2) throw new InputError('event-invalid', `Cannot make an event of QoS ${qos}: expected 0, 1 or 2`)
  const head = events.head.reset()
  for (const [name, tag] of TAGS) if (event[name] !== undefined) head.add(tag, event[name])
  for (const [name, value] of Object.entries(headers)) head.add(Tag.header, value, name)
  for (const [name, value] of Object.entries(fields)) head.add(Tag.field, value, name)
  return events.finish(body, qos | (retain ? Flag.retain : 0))
}

/** The event as a query: `trigger=mqtt&topic=a%2Fb&header.x-site=north`. */
export function syntheticQuery({
  headers,
  fields,
  qos,
  retain,
  body: _body,
  contentType: _contentType,
  ...texts
}: SyntheticEvent): URLSearchParams {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(texts)) if (value !== undefined) query.set(name, value)
  if (qos !== undefined) query.set('qos', String(qos))
  if (retain) query.set('retain', 'true')
  for (const [name, value] of Object.entries(headers)) query.append(`header.${name}`, value)
  for (const [name, value] of Object.entries(fields)) query.append(`field.${name}`, value)
  return query
}

const TEXTS = ['trigger', 'topic', 'method', 'path', 'url', 'type'] as const

/** The other way. Throws InputError 'query-invalid' on what it does not know. */
export function syntheticEvent(query: URLSearchParams, contentType: string | undefined, body: Uint8Array): SyntheticEvent {
  const event: Record<string, unknown> = {}
  const headers: Record<string, string> = Object.create(null)
  const fields: Record<string, string> = Object.create(null)
  for (const [name, value] of query) {
    if (name.startsWith('header.')) headers[name.slice('header.'.length)] = value
    else if (name.startsWith('field.')) fields[name.slice('field.'.length)] = value
    else if (name === 'qos') event[name] = Number(value)
    else if (name === 'retain') event[name] = value === 'true'
    else if ((TEXTS as readonly string[]).includes(name)) event[name] = value
    else
      throw new InputError(
        'query-invalid',
        `Cannot read ?${name.slice(0, 40)}: expected one of ${[...TEXTS, 'qos', 'retain'].join(', ')}, header.<name>, field.<name>`,
      )
  }
  return { ...event, ...(contentType === undefined ? {} : { contentType }), headers, fields, body }
}

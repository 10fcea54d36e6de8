import { uuidText } from '../../base/uuid.ts'
import { bodyOf, getU64, headOf } from '../../event/event-writer.ts'
import { findItem } from '../../event/head.ts'
import { AT, Tag } from '../../event/record.ts'

export const CLOUDEVENTS_BATCH = 'application/cloudevents-batch+json'

/** A batch for a program's stdin: CloudEvents 1.0 in their JSON batch form. A body that is no text goes as data_base64. */
export function cloudEventsBatch(
  records: readonly Buffer[],
  trigger: (record: Buffer) => { readonly name: string; readonly kind: string },
): Buffer {
  return Buffer.from(JSON.stringify(records.map((record) => cloudEvent(record, trigger(record)))))
}

function cloudEvent(record: Buffer, { name, kind }: { readonly name: string; readonly kind: string }): Record<string, unknown> {
  const head = headOf(record)
  const body = bodyOf(record)
  const topic = findItem(head, Tag.topic)
  const contentType = findItem(head, Tag.contentType)
  return {
    specversion: '1.0',
    id: uuidText(record, AT.id),
    source: `/triggers/${name}`,
    type: findItem(head, Tag.type) ?? `dunlin.${kind}`,
    time: new Date(getU64(record, AT.timeUs) / 1000).toISOString(),
    ...(topic === undefined ? {} : { subject: topic }),
    ...(contentType === undefined ? {} : { datacontenttype: contentType }),
    ...dataOf(body, contentType),
  }
}

function dataOf(body: Buffer, contentType: string | undefined): Record<string, unknown> {
  const text = body.toString('utf8')
  if (contentType?.startsWith('application/json')) {
    try {
      return { data: JSON.parse(text) as unknown }
    } catch {
      // What does not parse goes as it is.
    }
  }
  return Buffer.from(text).equals(body) ? { data: text } : { data_base64: body.toString('base64') }
}

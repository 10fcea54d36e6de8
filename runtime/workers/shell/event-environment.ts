import { uuidText } from '../../base/uuid.ts'
import { getU64, headOf } from '../../event/event-writer.ts'
import { findItem, itemsOf } from '../../event/head.ts'
import { AT, Flag, Tag } from '../../event/record.ts'

/** One value in a child's environment at the most: the kernel refuses longer ones. */
const VALUE_CHARS_MAX = 32_768
const HEADERS_MAX = 100

/**
 * Event fields for a program: Nuclio's NUCLIO_EVENT_* names, and those that Nuclio lacks in the same style. Values are data: they
 * reach the program through its environment, never through a shell.
 */
export function eventEnvironment(record: Buffer, attempt: number, trigger: { name: string; kind: string }): Record<string, string> {
  const head = headOf(record)
  const flags = record[AT.flags]!
  const env: Record<string, string> = {}
  const set = (name: string, value: string | undefined) => {
    if (value !== undefined && !value.includes('\0')) env[`NUCLIO_EVENT_${name}`] = value.slice(0, VALUE_CHARS_MAX)
  }
  set('ID', uuidText(record, AT.id))
  set('TOPIC', findItem(head, Tag.topic))
  set('CONTENT_TYPE', findItem(head, Tag.contentType))
  set('METHOD', findItem(head, Tag.method))
  set('PATH', findItem(head, Tag.path))
  set('URL', findItem(head, Tag.url))
  set('TYPE', findItem(head, Tag.type))
  set('TRIGGER_KIND', trigger.kind)
  set('TRIGGER_NAME', trigger.name)
  set('TIMESTAMP', new Date(getU64(record, AT.timeUs) / 1000).toISOString())
  set('SIZE', String(record.readUInt32LE(AT.bodyLength)))
  set('ATTEMPT', String(attempt))
  set('QOS', String(flags & Flag.qosMask))
  set('RETAIN', flags & Flag.retain ? '1' : '0')
  const headers = Object.entries(itemsOf(head, Tag.header)).slice(0, HEADERS_MAX)
  for (const [key, value] of headers) set(`HEADER_${key.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`, value)
  return env
}

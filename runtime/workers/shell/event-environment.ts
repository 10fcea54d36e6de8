import { FunctionError } from '../../base/errors.ts'
import { uuidText } from '../../base/uuid.ts'
import { getU64, headOf } from '../../event/event-writer.ts'
import { findItem, itemsOf } from '../../event/head.ts'
import { AT, Flag, Tag } from '../../event/record.ts'

/** One value at the most: the kernel refuses variables of more than 128 KiB, and a character has up to three bytes. */
const VALUE_CHARS_MAX = 32_768
const HEADERS_MAX = 100
/** All fields of one event. The kernel's limit for arguments and environment together is a quarter of the stack's: seldom below 2 MiB. */
export const EVENT_ENVIRONMENT_BYTES_MAX = 512 * 1024
const PREFIX = 'NUCLIO_EVENT_'
/** Stands where a NUL was: no variable can carry one. */
const REPLACEMENT = '\uFFFD'

/**
 * Event fields for a program: Nuclio's NUCLIO_EVENT_* names, and those that Nuclio lacks in the same style. Values are data: they
 * reach the program through its environment, never through a shell. NUCLIO_EVENT_CHANGED names the variables that are not what came:
 * cut at 32,768 characters, or with U+FFFD for each NUL. Throws FunctionError 'event-fields-too-large'.
 */
export function eventEnvironment(record: Buffer, attempt: number, trigger: { name: string; kind: string }): Record<string, string> {
  const head = headOf(record)
  const flags = record[AT.flags]!
  const env: Record<string, string> = {}
  const changed: string[] = []
  let bytes = 0
  const set = (name: string, value: string | undefined) => {
    if (value === undefined) return
    const safe = value.slice(0, VALUE_CHARS_MAX).replaceAll('\0', REPLACEMENT)
    if (safe !== value) changed.push(PREFIX + name)
    env[PREFIX + name] = safe
    bytes += PREFIX.length + name.length + Buffer.byteLength(safe) + 2
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
  for (const [key, value] of headers) set(`HEADER_${variableName(key)}`, value)
  if (changed.length > 0) set('CHANGED', changed.join(' '))
  if (bytes > EVENT_ENVIRONMENT_BYTES_MAX) {
    throw new FunctionError(
      'event-fields-too-large',
      `Cannot give the event's fields to a program: ${bytes} bytes of environment, at most ${EVENT_ENVIRONMENT_BYTES_MAX}`,
    )
  }
  return env
}

/** `X-Wert` to `X_WERT`: letters, digits and "_" are what every shell takes for a name. */
function variableName(header: string): string {
  return header.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/** What a handler logged for one request, given back to who asked for it (Nuclio's x-nuclio-log-level and X-Nuclio-Logs). Pure. */
import type { EventLogLine } from '../../runtime/dispatch/delivery.ts'

/** Nuclio's limit: proxies and clients take headers of a few KiB. */
const BYTES_MAX = 4_096
/** Room for the line that says how many are left out. */
const REST_BYTES = 80

const LEVELS: Readonly<Record<string, number>> = { debug: 10, info: 20, warn: 30, warning: 30, error: 40 }
const NAMES: Readonly<Record<number, string>> = { 10: 'debug', 20: 'info', 30: 'warn', 40: 'error' }

/** 0: not a level. */
export function logLevel(header: string): number {
  return LEVELS[header.trim().toLowerCase()] ?? 0
}

/** A JSON list in ASCII. Lines are kept from the first on; where they do not fit, the last one says how many are missing. */
export function logsHeader(lines: readonly EventLogLine[]): string {
  const kept: string[] = []
  let bytes = 2
  for (const [index, line] of lines.entries()) {
    const text = ascii(JSON.stringify(lineOf(line)))
    const isLast = index === lines.length - 1
    if (bytes + text.length + 1 > BYTES_MAX - (isLast ? 0 : REST_BYTES)) {
      kept.push(JSON.stringify({ level: 'warn', message: `${lines.length - index} more lines, see dunlin logs` }))
      break
    }
    kept.push(text)
    bytes += text.length + 1
  }
  return `[${kept.join(',')}]`
}

function lineOf({ level, message, fields, timeMs }: EventLogLine): Record<string, unknown> {
  return { level: NAMES[level] ?? String(level), time: timeMs, message, ...fieldsOf(fields) }
}

function fieldsOf(fields: string): Record<string, unknown> {
  if (fields === '') return {}
  try {
    return { with: JSON.parse(fields) as unknown }
  } catch {
    return { with: fields }
  }
}

/** Headers carry ASCII. */
function ascii(json: string): string {
  return json.replace(/[^\u0020-\u007e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

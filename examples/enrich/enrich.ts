/** Adds facts of this machine to its readings. TypeScript runs as it is: no build, no type stripping to set up. */
import { arch, cpus, hostname, release, totalmem } from 'node:os'

interface Context {
  emit(stream: string, body: unknown): void
  readonly Response: new (body: unknown, headers: Record<string, string>, contentType: string, statusCode: number) => unknown
}

interface Event {
  readonly id: string
  readonly body: unknown
  readonly topic: string
  readonly timestamp: Date
}

interface Reading {
  readonly value: number
  readonly unit?: string
}

/** Read once: they do not change while the machine runs. */
const host = {
  name: hostname(),
  arch: arch(),
  cores: cpus().length,
  memoryGiB: Math.round((totalmem() / 1024 ** 3) * 10) / 10,
  kernel: release(),
}

const UNITS: Readonly<Record<string, string>> = {
  '%': 'percent',
  '°C': 'degrees Celsius',
  'B/s': 'bytes per second',
  processes: 'processes',
}

export function handler(context: Context, event: Event): unknown {
  const reading = readingOf(event.body)
  if (!reading) return new context.Response('expected {"value": a number, "unit": a text}\n', {}, 'text/plain', 400)
  const enriched = {
    what: event.topic.split('/').at(-1) || 'by hand',
    value: reading.value,
    unit: UNITS[reading.unit ?? ''] ?? reading.unit ?? 'unknown',
    host,
    reading: event.id,
    time: event.timestamp.toISOString(),
  }
  context.emit('enriched', enriched)
  return enriched
}

function readingOf(body: unknown): Reading | undefined {
  try {
    const value: unknown = Buffer.isBuffer(body) ? JSON.parse(body.toString('utf8')) : body
    return typeof value === 'object' && value !== null && 'value' in value && typeof value.value === 'number'
      ? (value as Reading)
      : undefined
  } catch {
    return undefined
  }
}

/** Keeps the mean of each sensor and emits every reading with it. */
import type { Context, Event } from './dunlin.d.ts'

interface Mean {
  readonly count: number
  readonly mean: number
}

export async function handler(context: Context, event: Event): Promise<unknown> {
  const value = numberIn(event.body)
  if (value === undefined) {
    return new context.Response({ body: 'expected a number, or JSON with a number in value', statusCode: 400, contentType: 'text/plain' })
  }
  const sensor = event.topic || 'by hand'
  const before = ((await context.state.get(sensor)) as Mean | undefined) ?? { count: 0, mean: 0 }
  const count = before.count + 1
  const mean = before.mean + (value - before.mean) / count
  // State and emits are committed with the event: all of it, or nothing.
  context.state.set(sensor, { count, mean })
  const rounded = Math.round(mean * 1000) / 1000
  context.emit('readings', { sensor, value, mean: rounded })
  return { mean: rounded }
}

/** MQTT payloads come as bytes, HTTP with JSON comes parsed. */
function numberIn(body: unknown): number | undefined {
  try {
    const value: unknown = Buffer.isBuffer(body) || typeof body === 'string' ? JSON.parse(String(body)) : body
    const number = typeof value === 'object' && value !== null && 'value' in value ? value.value : value
    return typeof number === 'number' ? number : undefined
  } catch {
    return undefined
  }
}

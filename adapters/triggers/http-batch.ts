/** The answer to a batch of events: one entry each, in their order. Pure. */
import type { Answer } from '../../runtime/dispatch/delivery.ts'

export interface BatchEntry {
  /** Of our event. */
  readonly id: string
  readonly status: number
  readonly contentType?: string
  /** JSON as it is, other text as a string. */
  readonly body?: unknown
  /** What is no text. */
  readonly bodyBase64?: string
  readonly error?: string
}

export function answerEntry(id: string, { status, contentType, body, error }: Answer): BatchEntry {
  return {
    id,
    status,
    ...(contentType === undefined ? {} : { contentType }),
    ...content(contentType, body),
    ...(error === undefined ? {} : { error }),
  }
}

/** A batch is sent again whole or not at all, so one event that failed by us makes it fail; 202 and 200 otherwise. */
export function batchStatus(entries: readonly BatchEntry[], isDurable: boolean): number {
  const worst = entries.reduce((status, entry) => Math.max(status, entry.status), 0)
  return worst >= 500 ? worst : isDurable ? 202 : 200
}

function content(contentType: string | undefined, body: Buffer): Pick<BatchEntry, 'body' | 'bodyBase64'> {
  if (body.length === 0) return {}
  const text = body.toString('utf8')
  if (text.includes('\ufffd')) return { bodyBase64: body.toString('base64') }
  if (!contentType?.startsWith('application/json')) return { body: text }
  try {
    return { body: JSON.parse(text) as unknown }
  } catch {
    return { body: text }
  }
}

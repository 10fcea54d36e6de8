import type { Event } from './guest-event.ts'
import { Response } from './response.ts'

/** What became of one event of a batch. */
export type BatchAnswer = { readonly value: unknown } | { readonly error: Error }

/**
 * The answer of each event of a batch (docs/ring.md): Responses that name their events by `eventId`; a list as long as the batch, by
 * position; anything else is everybody's.
 */
export function batchAnswers(value: unknown, events: readonly Event[]): BatchAnswer[] {
  if (Array.isArray(value)) {
    if (value.length > 0 && value.every((answer) => answer instanceof Response && answer.eventId !== undefined)) {
      const byId = new Map(value.map((answer: Response) => [answer.eventId, answer]))
      return events.map(({ id }) => {
        const found = byId.get(id)
        return found ? { value: found } : { error: new Error(`The handler did not answer event ${id} of its batch`) }
      })
    }
    if (value.length === events.length) return value.map((answer: unknown) => ({ value: answer }))
  }
  return events.map(() => ({ value }))
}

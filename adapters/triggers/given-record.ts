import type { GivenEvent } from '../../config/triggers/given-event.ts'
import type { EventWriter } from '../../runtime/event/event-writer.ts'
import { Tag } from '../../runtime/event/record.ts'

/** The event of a trigger that has no source of bodies. The trigger's name is its topic. */
export function givenRecord(events: EventWriter, topic: string, { body, headers }: GivenEvent, more: Record<string, string> = {}): Buffer {
  events.head.add(Tag.topic, topic)
  for (const [key, value] of Object.entries({ ...headers, ...more })) events.head.add(Tag.header, value, key)
  return events.finish(Buffer.from(body))
}

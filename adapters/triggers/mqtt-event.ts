import type { EventWriter } from '../../runtime/event/event-writer.ts'
import { Flag, HEAD_KEY_BYTES_MAX, HEAD_VALUE_BYTES_MAX, Tag } from '../../runtime/event/record.ts'
import type { PublishPacket } from './mqtt-publish-packet.ts'

/** Headers that tell what MQTT has and HTTP has not. A publisher's properties of these names are left out. */
export const MqttHeader = {
  dup: 'mqtt-dup',
  responseTopic: 'mqtt-response-topic',
  /** base64: it is bytes, not text. */
  correlationData: 'mqtt-correlation-data',
} as const

const OWN: ReadonlySet<string> = new Set(Object.values(MqttHeader))

/** The event of a message; user properties are its headers. What is longer than a header may be is left out. */
export function eventOf({ topic, payload, qos, retain, dup, properties }: PublishPacket, events: EventWriter): Buffer {
  const { head } = events
  head.add(Tag.topic, topic)
  const { contentType, responseTopic, correlationData, user } = properties
  if (contentType !== undefined) head.add(Tag.contentType, contentType)
  for (const [key, value] of user) {
    if (key !== '' && !OWN.has(key) && Buffer.byteLength(key) <= HEAD_KEY_BYTES_MAX) head.add(Tag.header, value, key)
  }
  if (dup) head.add(Tag.header, 'true', MqttHeader.dup)
  if (responseTopic !== undefined) head.add(Tag.header, responseTopic, MqttHeader.responseTopic)
  const correlation = correlationData?.toString('base64')
  if (correlation !== undefined && correlation.length <= HEAD_VALUE_BYTES_MAX) head.add(Tag.header, correlation, MqttHeader.correlationData)
  return events.finish(payload, qos | (retain ? Flag.retain : 0))
}

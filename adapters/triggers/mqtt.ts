import { Flag, Tag } from '../../runtime/event/record.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import type { InboundMessage } from '../broker/contract.ts'
import type { RouteTarget } from './mqtt-router.ts'
import { OutsideMqttTrigger } from './outside-mqtt.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/**
 * Messages on the device's own broker become events (an outside one: outside-mqtt.ts). Delivery `durable` and QoS >= 1: the broker
 * acknowledges when the event is committed. QoS 0, or delivery `direct`: the event is handled without a commit before it.
 */
export function openMqttTrigger(config: TriggerOf<'mqtt'>, context: TriggerContext, { router, marks }: TriggerServices): Trigger {
  if (config.outside !== null) return new OutsideMqttTrigger(config, config.outside, context, marks)
  const { sink } = context
  const target: RouteTarget = (message, done) => {
    const record = toRecord(message, sink)
    if (message.qos > 0 && config.delivery === 'durable') return sink.accept(record, done)
    sink.invoke(record, null)
    done(null)
  }
  let listening = false
  return {
    async start() {
      for (const { topic } of config.subscriptions) router.add(topic, target)
      listening = true
    },
    async stop() {
      if (listening) for (const { topic } of config.subscriptions) router.remove(topic, target)
      listening = false
    },
  }
}

function toRecord({ topic, payload, qos, retain }: InboundMessage, { events }: TriggerContext['sink']): Buffer {
  events.head.add(Tag.topic, topic)
  return events.finish(payload, qos | (retain ? Flag.retain : 0))
}

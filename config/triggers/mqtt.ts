/** kind: mqtt. Messages on the device's own broker. */
import * as v from 'valibot'
import { topicFilter } from '../fields.ts'
import { anything } from '../without-effect.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'

export interface MqttTriggerConfig extends TriggerBase {
  readonly kind: 'mqtt'
  readonly subscriptions: readonly MqttSubscription[]
  /** null: the device's own broker. */
  readonly url: string | null
}

export interface MqttSubscription {
  readonly topic: string
  readonly qos: 0 | 1 | 2
}

const WITHOUT_EFFECT = {
  clientID: 'the broker hands events over without a client',
  protocolVersion: 'the broker hands events over without a client',
}

const qos = v.pipe(v.number(), v.integer('0, 1 or 2'), v.minValue(0, '0, 1 or 2'), v.maxValue(2, '0, 1 or 2'))

const schema = v.strictObject({
  ...common,
  kind: v.literal('mqtt'),
  attributes: v.strictObject({
    subscriptions: v.pipe(
      v.array(
        v.strictObject({
          topic: topicFilter,
          /** Default 1, so that a sensor's message counts as delivered only when it is stored. */
          qos: v.optional(qos, 1),
        }),
      ),
      v.minLength(1, 'at least one subscription'),
      v.maxLength(100, 'at most 100 subscriptions'),
    ),
    ...anything(WITHOUT_EFFECT),
  }),
})

export const mqtt = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'topic' },
  attributesWithoutEffect: WITHOUT_EFFECT,
  compile({ url, attributes }, base, { checker, path }): MqttTriggerConfig | null {
    if (url !== undefined && url !== '' && url !== 'local') {
      const message = 'an outside broker is not supported by this version'
      checker.add([...path, 'url'], message, "leave url out to use the device's own broker")
      return null
    }
    const subscriptions = attributes.subscriptions.map(({ topic, qos }) => ({ topic, qos: qos as 0 | 1 | 2 }))
    return { ...base, kind: 'mqtt', subscriptions, url: null }
  },
})

/** kind: mqtt. Messages on the device's own broker, or on an outside one that `url` names. */
import * as v from 'valibot'
import { shown } from '../check.ts'
import { covers, filtersOverlap, topicFilterFault } from '../topic-filter.ts'
import { common, triggerKind, type TriggerBase, type TriggerCompile } from './common.ts'
import { compileOutside, isOutside, outsideAttributes, qos, urlField, type OutsideBroker } from './outside-broker.ts'

export interface MqttTriggerConfig extends TriggerBase {
  readonly kind: 'mqtt'
  readonly subscriptions: readonly MqttSubscription[]
  /** null: the device's own broker. */
  readonly outside: OutsideBroker | null
}

export interface MqttSubscription {
  readonly topic: string
  readonly qos: 0 | 1 | 2
}

/** Which filters a broker may share among clients is its own affair: `$share/<group>/<filter>` is for outside brokers. */
const SHARED = /^\$share\/[^/+#]+\/(?=.)/

const subscribedTopic = v.pipe(
  v.string(),
  v.check(
    (given) => topicFilterFault(given.replace(SHARED, '')) === null,
    (issue) => topicFilterFault(issue.input.replace(SHARED, '')) ?? 'a topic filter',
  ),
)

const schema = v.pipe(
  v.strictObject({
    ...common,
    kind: v.literal('mqtt'),
    /** Left out or `local`: the device's own broker. `tcp://` and `ssl://` are Nuclio's names of `mqtt://` and `mqtts://`. */
    url: v.optional(urlField),
    /** Of an outside broker; `${NAME}` is taken from the agent's environment. */
    username: v.optional(v.pipe(v.string(), v.maxLength(1024, 'at most 1024 characters'))),
    password: v.optional(v.pipe(v.string(), v.maxLength(65_535, 'at most 65535 characters'))),
    attributes: v.strictObject({
      subscriptions: v.pipe(
        v.array(
          v.strictObject({
            topic: subscribedTopic,
            /** Default 1, so that a sensor's message counts as delivered only when it is stored. */
            qos: v.optional(qos, 1),
          }),
        ),
        v.minLength(1, 'at least one subscription'),
        v.maxLength(100, 'at most 100 subscriptions'),
      ),
      ...outsideAttributes,
    }),
  }),
  // Under other names: common.ts gives a notice that a log-in has no effect, and here it may have one.
  v.transform(({ username, password, ...rest }) => ({ ...rest, login: { username, password } })),
)

export const mqtt = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'topic' },
  attributesWithoutEffect: {},
  compile({ url, login, attributes }, base, context): MqttTriggerConfig | null {
    const { subscriptions: given, ...client } = attributes
    const subscriptions = given.map(({ topic, qos: level }) => ({ topic, qos: level as 0 | 1 | 2 }))
    if (isOutside(url)) {
      const outside = compileOutside(url, login, client, context.checker, context.path)
      if (outside?.protocolVersion === 4) addOverlapNotices(subscriptions, context)
      return outside && { ...base, kind: 'mqtt', subscriptions, outside }
    }
    const before = context.checker.problems.count
    checkLocal(subscriptions, context)
    addLocalNotices({ ...client }, login, context)
    return context.checker.problems.count === before ? { ...base, kind: 'mqtt', subscriptions, outside: null } : null
  },
})

/** In MQTT 5 the broker tells which filter a message is for; in MQTT 3.1.1 a copy cannot be told from a message that is alike. */
function addOverlapNotices(subscriptions: readonly MqttSubscription[], { notices, path }: TriggerCompile): void {
  for (const [index, { topic, qos: level }] of subscriptions.entries()) {
    const before = subscriptions.slice(0, index).find((other) => {
      if (topic.startsWith('$share/') || other.topic.startsWith('$share/') || !filtersOverlap(topic, other.topic)) return false
      const [a, b] = [topic.split('/'), other.topic.split('/')]
      return !(covers(b, a) && other.qos >= level) && !(covers(a, b) && level >= other.qos)
    })
    if (before === undefined) continue
    const sentence = `overlaps "${before.topic}": a broker of MQTT 3.1.1 may send a message that matches both twice; protocolVersion: 5 prevents it`
    notices.add([...path, 'attributes', 'subscriptions', index], sentence)
  }
}

function checkLocal(subscriptions: readonly MqttSubscription[], { checker, path }: TriggerCompile): void {
  for (const [index, { topic }] of subscriptions.entries()) {
    const fault = topicFilterFault(topic)
    if (fault !== null) checker.add([...path, 'attributes', 'subscriptions', index, 'topic'], `expected ${fault}, got ${shown(topic)}`)
  }
}

function addLocalNotices(
  client: Readonly<Record<string, unknown>>,
  login: Readonly<Record<string, unknown>>,
  context: TriggerCompile,
): void {
  const { notices, path } = context
  const reason = "the device's own broker hands events over without a client; give the url of an outside broker"
  const reasons = (given: object) => Object.fromEntries(Object.keys(given).map((key) => [key, reason]))
  notices.withoutEffect(path, login, reasons(login))
  notices.withoutEffect([...path, 'attributes'], client, reasons(client))
}

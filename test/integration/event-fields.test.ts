import test from 'ava'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { Flag, Tag } from '../../runtime/event/record.ts'
import { withRig } from '../support/with-rig.ts'

/** Every field that an event has, in JavaScript's spelling, and what it is of the event below. */
const FIELDS: Record<string, unknown> = {
  body: { a: 1 },
  contentType: 'application/json',
  headers: { 'X-A': 'ü' },
  fields: { q: '1' },
  method: 'PUT',
  path: '/p',
  url: '/p?q=1',
  size: 7,
  type: 'reading',
  typeVersion: '2',
  shardId: 3,
  numShards: 8,
  topic: 'plant/1',
  offset: 42,
  qos: 1,
  retain: true,
  attempt: 1,
  orderKey: 'k',
  version: '',
  lastInBatch: true,
  replayed: false,
}
/** Those that differ from run to run, by their JSON. */
const PATTERNS: Record<string, RegExp> = {
  id: /^"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"$/,
  timestamp: /^"\d{4}-\d\d-\d\dT/,
  bootId: /^\d+$/,
  monotonicNs: /^\d{6,}$/,
  clockQuality: /^"(unset|floor|synced)"$/,
  trigger: /^\{"name":"in","kind":"http","class":"sync"\}$/,
}
const NAMES = [...Object.keys(FIELDS), ...Object.keys(PATTERNS)]
const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

const handlers = {
  nodejs: [
    'main.mjs',
    `export function handler(context, event) {
      const told = { own: Object.keys(event).filter((name) => name !== 'trigger') }
      for (const name of ${JSON.stringify(NAMES)}) told[name] = event[name]
      for (const name of ${JSON.stringify(NAMES.map(snake))}) if (!(name in event)) throw new Error('no ' + name)
      return told
    }`,
  ],
  python: [
    'main.py',
    `import json
def handler(context, event):
    told = {'own': [name for name in event.__dict__ if name not in ('_record', 'body')]}
    for name, own in ${JSON.stringify(NAMES.map((name) => [name, snake(name)]))}:
        told[name] = getattr(event, own)
    told['timestamp'] = told['timestamp'].isoformat()
    told['trigger'] = {'name': event.trigger.name, 'kind': event.trigger.kind, 'class': event.trigger.klass}
    return told
`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(handlers)) {
  test.serial(`${runtime} event has every field, and none is decoded before it is read`, withRig, async (t, rig) => {
    const spec = `metadata: { name: f }\nspec:\n  runtime: ${runtime}\n  triggers: { in: { kind: http } }`
    await rig.processor.activate(rig.version(spec, { [file]: source }))
    const { events } = rig.processor
    const items: [Tag, string, string?][] = [
      [Tag.topic, 'plant/1'],
      [Tag.contentType, 'application/json'],
      [Tag.method, 'PUT'],
      [Tag.path, '/p'],
      [Tag.url, '/p?q=1'],
      [Tag.header, 'ü', 'X-A'],
      [Tag.field, '1', 'q'],
      [Tag.type, 'reading'],
      [Tag.typeVersion, '2'],
      [Tag.orderKey, 'k'],
      [Tag.shardId, '3'],
      [Tag.numShards, '8'],
      [Tag.offset, '42'],
    ]
    for (const [tag, value, key] of items) events.head.add(tag, value, key)
    const record = events.finish(Buffer.from('{"a":1}'), 1 | Flag.retain)
    const { status, body, error } = await new Promise<Answer>((resolve) => rig.processor.invoke('f', record, resolve))
    t.is(status, 200, error)
    const told = JSON.parse(body.toString()) as Record<string, unknown>
    t.deepEqual(told['own'], [])
    for (const [name, value] of Object.entries(FIELDS)) t.deepEqual(told[name], value, name)
    for (const [name, pattern] of Object.entries(PATTERNS)) t.regex(JSON.stringify(told[name]), pattern, name)
  })
}

const failing = {
  nodejs: [
    'main.mjs',
    `export function handler(context, event) { context.logger.info(event.id); if (event.attempt < 3) throw new Error('again') }`,
  ],
  python: [
    'main.py',
    `def handler(context, event):\n    context.logger.info(event.id)\n    if event.attempt < 3:\n        raise ValueError('again')\n`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(failing)) {
  test.serial(`${runtime} event has the same id at every attempt, and no other event has it`, withRig, async (t, rig) => {
    const spec = `metadata: { name: f }\nspec:\n  runtime: ${runtime}\n  retry: { first: 1ms, max: 1s }\n  triggers: { in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#' }] } } }`
    await rig.processor.activate(rig.version(spec, { [file]: source }))
    await Promise.all([rig.publish('in/a', '1'), rig.publish('in/b', '2')])
    const ids = () => rig.logs.map(({ message }) => message).filter((message) => /^[0-9a-f-]{36}$/.test(message))
    await rig.until(() => ids().length === 6)
    const counted = Map.groupBy(ids(), (id) => id)
    t.deepEqual(
      [...counted.values()].map((same) => same.length),
      [3, 3],
    )
  })
}

const forms = {
  nodejs: [
    'main.mjs',
    `export function init_context(context) { context.user_data.greeting = 'hello'; context.userData.count = 0 }
    const forms = (context) => ({
      none: undefined, str: 'täxt', bytes: Buffer.from([0, 255]), object: { a: [1, 'ü'] }, list: [1, 2, 3], pair: [1, 2], number: 4.5,
      tuple: [201, 'made'], 'tuple-object': [202, { ok: true }],
      response: new context.Response('gone', { 'X-A': '1' }, 'text/html', 410), unavailable: [503, 'later'],
      context: [context.worker_id, context.workerId, context.trigger.kind, context.trigger_name, context.function_name, context.user_data.greeting,
        typeof context.platform.set_termination_callback, typeof context.platform.setDrainCallback, typeof context.logger.info_with].join(' '),
    })
    export const handler = (context, event) => forms(context)[String(event.body)]`,
  ],
  python: [
    'main.py',
    `def init_context(context):
    context.user_data.greeting = 'hello'
def handler(context, event):
    return {
        'none': None, 'str': 'täxt', 'bytes': b'\\x00\\xff', 'object': {'a': [1, 'ü']}, 'list': [1, 2, 3], 'pair': [1, 2], 'number': 4.5,
        'tuple': (201, 'made'), 'tuple-object': (202, {'ok': True}),
        'response': context.Response(body='gone', headers={'X-A': '1'}, content_type='text/html', status_code=410), 'unavailable': (503, 'later'),
        'context': ' '.join(map(str, [context.worker_id, context.worker_id, context.trigger.kind, context.trigger_name, context.function_name,
            context.user_data.greeting, *('function' for each in (context.platform.set_termination_callback, context.platform.set_drain_callback,
            context.logger.info_with) if callable(each))])),
    }[event.body.decode()]
`,
  ],
} as const

for (const [runtime, [file, source]] of Object.entries(forms)) {
  test.serial(`${runtime} handler may answer in all of Nuclio's forms, and its context has Nuclio's members`, withRig, async (t, rig) => {
    const spec = `metadata: { name: f }\nspec:\n  runtime: ${runtime}\n  triggers: { web: { kind: http } }`
    await rig.processor.activate(rig.version(spec, { [file]: source }))
    const form = async (name: string) => {
      const { status, contentType, body } = await rig.invoke('f', name)
      return [status, contentType, body.toString('latin1')]
    }
    const utf8 = (text: string): string => Buffer.from(text).toString('latin1')
    t.deepEqual((await form('none')).slice(0, 1), [200])
    t.deepEqual(await form('str'), [200, 'text/plain', utf8('täxt')])
    t.is((await form('bytes'))[2], '\0ÿ')
    t.deepEqual(await form('object'), [200, 'application/json', utf8('{"a":[1,"ü"]}')])
    t.deepEqual(await form('list'), [200, 'application/json', '[1,2,3]'])
    t.deepEqual(await form('pair'), [200, 'application/json', '[1,2]'])
    t.deepEqual(await form('number'), [200, 'application/json', '4.5'])
    t.deepEqual(await form('tuple'), [201, 'text/plain', 'made'])
    t.deepEqual(await form('tuple-object'), [202, 'application/json', '{"ok":true}'])
    t.deepEqual(await form('response'), [410, 'text/html', 'gone'])
    t.deepEqual((await rig.invoke('f', 'response')).headers['X-A'], '1')
    t.is((await form('unavailable'))[0], 503)
    t.is((await form('context'))[2], '0 0 http web f hello function function function')
  })
}

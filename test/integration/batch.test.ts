import test from 'ava'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { withRig } from '../support/with-rig.ts'

/** A function `f` whose one trigger makes batches; an hour is as good as never. */
const spec = (runtime: string, batch: string, more = '') => `
metadata: { name: f }
spec:
  runtime: ${runtime}
  retry: { first: 10ms, max: 1s }
${more}
  triggers:
    in: { kind: mqtt, batch: { mode: enable, ${batch} }, attributes: { subscriptions: [{ topic: 'in/#' }] } }
`
const NEVER = 'timeout: 60m'

const NODE = 'nodejs'
const NODE_CHILD = 'nodejs\n  isolation: process'

/** Emits the topics and bodies of each batch as one text. */
const tell = {
  [NODE]: `export function handler(context, events) { context.emit('batches', events.map((e) => e.topic + e.body).join(' ')) }`,
  python: `def handler(context, events):\n    context.emit('batches', ' '.join(e.topic + e.body.decode() for e in events))\n`,
  'python async': `import asyncio\nasync def handler(context, events):\n    await asyncio.sleep(0.001)\n    context.emit('batches', ' '.join(e.topic + e.body.decode() for e in events))\n`,
}
const fileOf = (runtime: string): string => (runtime.startsWith('python') ? 'main.py' : 'main.mjs')
const runtimeOf = (runtime: string): string => runtime.replace(' async', '')

for (const [name, source] of [...Object.entries(tell), [NODE_CHILD, tell[NODE]] as const]) {
  const title = name.replace(/\n.*/, ' in a process')
  test.serial(`${title} handler gets a full batch at once, with several events of a key in their order`, withRig, async (t, rig) => {
    await rig.processor.activate(rig.version(spec(runtimeOf(name), `batchSize: 4, ${NEVER}`), { [fileOf(name)]: source }))
    for (const [topic, body] of ['a1', 'b1', 'a2', 'a3', 'b2', 'b3', 'b4', 'a4'].map((event) => [event[0]!, event[1]!])) {
      await rig.publish(`in/${topic}`, body!)
    }
    await rig.until(async () => (await rig.rows('batches')).length === 2)
    const [first, second] = await rig.rows('batches')
    t.is(first, 'in/a1 in/b1 in/a2 in/a3')
    t.deepEqual(second!.split(' ').toSorted(), ['in/a4', 'in/b2', 'in/b3', 'in/b4'])
    t.regex(second!, /b2.*b3.*b4/)
    await rig.store.flush()
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 8, delivered: 8, waiting: 0, balanced: true })
  })
}

test.serial('incomplete batch is given when its oldest event has waited for the time-out', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec(NODE, 'batchSize: 100, timeout: 50ms'), { 'main.mjs': tell[NODE] }))
  const startedMs = performance.now()
  await Promise.all(['1', '2', '3'].map((body) => rig.publish('in/a', body)))
  await rig.until(async () => (await rig.rows('batches')).length === 1)
  t.deepEqual(await rig.rows('batches'), ['in/a1 in/a2 in/a3'])
  t.true(performance.now() - startedMs >= 50)
})

/** In its init: what it answers a batch with, by the text of its first event. */
const answers = {
  [NODE]: `export function handler(context, events) {
    const how = String(events[0].body)
    if (how === 'ids') return events.map((e) => new context.Response({ body: e.body + '!', eventId: e.id, statusCode: 201 })).reverse()
    if (how === 'list') return events.map((e) => e.body + '?')
    if (how === 'some') return [new context.Response({ body: 'only', eventId: events[1].id })]
    return 'all'
  }`,
  python: `def handler(context, events):
    how = events[0].body.decode()
    if how == 'ids':
        return [context.Response(body=e.body.decode() + '!', event_id=e.id, status_code=201) for e in reversed(events)]
    if how == 'list':
        return [e.body.decode() + '?' for e in events]
    if how == 'some':
        return [context.Response(body='only', event_id=events[1].id)]
    return 'all'
`,
}

for (const [runtime, source] of Object.entries(answers)) {
  test.serial(`${runtime} callers in one batch each get their own answer`, withRig, async (t, rig) => {
    await rig.processor.activate(rig.version(spec(runtime, `batchSize: 2, ${NEVER}`), { [fileOf(runtime)]: source }))
    const told = async (how: string) => {
      const both = await Promise.all([rig.invoke('f', how), rig.invoke('f', 'second')])
      return both.map(({ status, body }: Answer) => `${status} ${body.toString()}`)
    }
    t.deepEqual(await told('ids'), ['201 ids!', '201 second!'])
    t.deepEqual(await told('list'), ['200 list?', '200 second?'])
    t.deepEqual(await told('one'), ['200 all', '200 all'])
    const [missing, found] = await told('some')
    t.regex(missing!, /^500 .*/)
    t.is(found, '200 only')
  })
}

const poison = {
  [NODE]: `export function handler(context, events) {
    context.logger.info('batch of ' + events.length)
    for (const e of events) if (String(e.body) === 'bad') throw new Error('no good')
    for (const e of events) context.emit('out', String(e.body), { event: e })
  }`,
  python: `def handler(context, events):
    context.logger.info('batch of ' + str(len(events)))
    for e in events:
        if e.body == b'bad':
            raise ValueError('no good')
    for e in events:
        context.emit('out', e.body, event=e)
`,
}

for (const [runtime, source] of Object.entries(poison)) {
  test.serial(`${runtime} batch that fails is tried one by one, and only the bad event is counted and buried`, withRig, async (t, rig) => {
    const version = rig.version(spec(runtime, `batchSize: 4, ${NEVER}`, '  maxAttempts: 2'), { [fileOf(runtime)]: source })
    await rig.processor.activate(version)
    for (const body of ['1', 'bad', '2', '3']) await rig.publish('in/a', body)
    await rig.until(async () => (await rig.rows('out')).length === 3 && (await rig.store.ledger()).sources[0]!.dead === 1)
    t.deepEqual(await rig.rows('out'), ['1', '2', '3'])
    t.deepEqual(
      rig.logs.filter(({ message }) => message.startsWith('batch of')).map(({ message }) => message),
      ['batch of 4', 'batch of 1', 'batch of 1', 'batch of 1', 'batch of 1', 'batch of 1'],
    )
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 4, delivered: 3, dead: 1, waiting: 0, balanced: true })
    t.is(rig.logs.filter(({ message }) => message.includes('tried one by one')).length, 1)
  })
}

test.serial('batch whose worker dies is tried one by one, and only the deadly event is buried', withRig, async (t, rig) => {
  const source = `import os\ndef handler(context, events):\n    for e in events:\n        if e.body == b'deadly':\n            os._exit(7)\n    for e in events:\n        context.emit('out', e.body, event=e)\n`
  await rig.processor.activate(rig.version(spec('python', `batchSize: 3, ${NEVER}`, '  maxAttempts: 1'), { 'main.py': source }))
  for (const body of ['1', 'deadly', '2']) await rig.publish('in/a', body)
  await rig.until(async () => (await rig.rows('out')).length === 2 && (await rig.store.ledger()).sources[0]!.dead === 1)
  t.deepEqual(await rig.rows('out'), ['1', '2'])
})

test.serial('batch larger than the ring arrives whole', withRig, async (t, rig) => {
  const source = `def handler(context, events):\n    context.emit('sizes', ' '.join(str(e.size) for e in events))\n`
  await rig.processor.activate(rig.version(spec('python', `batchSize: 30, ${NEVER}`), { 'main.py': source }))
  await Promise.all(Array.from({ length: 30 }, (_, i) => rig.publish(`in/${i}`, 'x'.repeat(150_000 + i))))
  await rig.until(async () => (await rig.rows('sizes')).length === 1)
  const sizes = (await rig.rows('sizes'))[0]!.split(' ').map(Number)
  t.is(sizes.length, 30)
  t.is(
    sizes.reduce((sum, size) => sum + size),
    30 * 150_000 + 435,
  )
})

test.serial('shell program gets a batch as CloudEvents, and its answer is that of each event', withRig, async (t, rig) => {
  const script = '#!/bin/sh\nprintf "%s|" "$NUCLIO_EVENT_COUNT" "$NUCLIO_EVENT_CONTENT_TYPE"\ncat\n'
  await rig.processor.activate(
    rig.version(spec('shell\n  handler: count.sh', `batchSize: 2, ${NEVER}`, '  outputStream: out'), { 'count.sh': script }),
  )
  await rig.publish('in/a', 'warm')
  await rig.publish('in/b', 'cold')
  await rig.until(async () => (await rig.rows('out')).length === 2)
  const [first, second] = await rig.rows('out')
  t.is(first, second)
  const [count, contentType, json] = first!.split(/\|(.*?)\|/)
  t.is(count, '2')
  t.is(contentType, 'application/cloudevents-batch+json')
  const events = JSON.parse(json!) as Record<string, unknown>[]
  t.deepEqual(
    events.map(({ specversion, subject, data, type }) => [specversion, subject, data, type]),
    [
      ['1.0', 'in/a', 'warm', 'dunlin.mqtt'],
      ['1.0', 'in/b', 'cold', 'dunlin.mqtt'],
    ],
  )
})

test.serial('no timer is armed while no event waits for its batch', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec(NODE, 'batchSize: 2, timeout: 60m'), { 'main.mjs': tell[NODE] }))
  const timers = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const idle = timers()
  await rig.publish('in/a', '1')
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
  t.is(timers(), idle + 1)
  await rig.publish('in/a', '2')
  await rig.until(async () => (await rig.rows('batches')).length === 1)
  await rig.store.flush()
  // What the event time-out of the worker still has armed is not the batch's.
  t.true(timers() <= idle + 1)
})

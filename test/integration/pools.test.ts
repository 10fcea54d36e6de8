import test, { type ExecutionContext } from 'ava'
import { writeFileSync } from 'node:fs'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

async function rigOf(t: ExecutionContext): Promise<ProcessorRig> {
  const rig = await ProcessorRig.open(tempDir(t))
  t.teardown(() => rig.close())
  return rig
}

const spec = (triggers: string, more = 'runtime: nodejs') => `metadata: { name: f }
spec:
  ${more}
  retry: { first: 10ms, max: 1s }
  triggers:
${triggers}`

const mqtt = (topic: string, more = '') => `{ kind: mqtt, ${more} attributes: { subscriptions: [{ topic: '${topic}' }] } }`

const workersOf = (rig: ProcessorRig) => rig.processor.status()[0]!.workers

test('triggers that name one pool are served by one worker, and an event tells which it came from', async (t) => {
  const rig = await rigOf(t)
  const handler = `let seen = []
export function handler(context, event) {
  seen.push(event.trigger.name)
  context.emit('out', event.trigger.name + ' ' + event.trigger.kind + ' ' + seen.length)
  return 'ok'
}`
  const triggers = `    a: ${mqtt('a/#', 'workerAllocatorName: all,')}
    b: ${mqtt('b/#', 'workerAllocatorName: all,')}
    c: ${mqtt('c/#')}
`
  await rig.processor.activate(rig.version(spec(triggers), { 'main.mjs': handler }))
  t.is(workersOf(rig).ready, 2)
  for (const topic of ['a/1', 'b/1', 'a/2', 'c/1']) {
    const before = (await rig.rows('out')).length
    await rig.publish(topic, 'x')
    await rig.until(async () => (await rig.rows('out')).length > before)
  }
  t.deepEqual(await rig.rows('out'), ['a mqtt 1', 'b mqtt 2', 'a mqtt 3', 'c mqtt 1'])
})

test('one source that floods a shared worker does not keep the other from it', async (t) => {
  const rig = await rigOf(t)
  const handler = `export async function handler(context, event) {
  await new Promise(setImmediate)
  context.emit('out', event.topic)
}`
  const triggers = `    a: ${mqtt('a', 'workerAllocatorName: all, concurrency: 1, orderKey: none,')}
    b: ${mqtt('b', 'workerAllocatorName: all, orderKey: none,')}
`
  await rig.processor.activate(rig.version(spec(triggers), { 'main.mjs': handler }))
  await Promise.all([
    ...Array.from({ length: 400 }, () => rig.publish('a', 'x')),
    ...Array.from({ length: 5 }, () => rig.publish('b', 'x')),
  ])
  await rig.until(async () => (await rig.rows('out')).length === 405)
  const places = (await rig.rows('out')).flatMap((topic, place) => (topic === 'b' ? [place] : []))
  t.is(places.length, 5)
  t.true(places.at(-1)! < 200, `b was handled at ${places.join(', ')} of 405`)
})

test('pool grows while all workers are busy and events wait, and shrinks when they are idle', async (t) => {
  const rig = await rigOf(t)
  const handler = `const { writeFileSync, existsSync } = require('node:fs')
module.exports.handler = async (context, event) => {
  while (!existsSync(process.env.GATE)) await new Promise((r) => setTimeout(r, 10))
  context.emit('out', String(context.worker_id ?? context.workerId))
}`
  const gate = `${tempDir(t)}/gate`
  const triggers = `    a: ${mqtt('a', 'minWorkers: 1, maxWorkers: 3, concurrency: 1, orderKey: none, idleTimeout: 200ms,')}\n`
  await rig.processor.activate(
    rig.version(spec(triggers, `runtime: nodejs\n  env: [{ name: GATE, value: '${gate}' }]`), { 'main.cjs': handler }),
  )
  t.like(workersOf(rig), { ready: 1, min: 1, max: 3 })
  await Promise.all(Array.from({ length: 9 }, () => rig.publish('a', 'x')))
  await rig.until(() => workersOf(rig).ready === 3)
  t.is(workersOf(rig).inFlight, 3)
  writeFileSync(gate, '')
  await rig.until(async () => (await rig.rows('out')).length === 9)
  await rig.until(() => workersOf(rig).ready === 1)
  t.is(workersOf(rig).restarts, 0)
  await rig.publish('a', 'x')
  await rig.until(async () => (await rig.rows('out')).length === 10)
})

test('pool with minWorkers 0 ends its worker when idle, and the next event and the next call start one', async (t) => {
  const rig = await rigOf(t)
  const triggers = `    a: ${mqtt('a', 'minWorkers: 0, idleTimeout: 100ms,')}\n`
  const version = rig.version(spec(triggers), {
    'main.mjs': `export const handler = (context, event) => { context.emit('out', 'x'); return 'here' }`,
  })
  await rig.processor.activate(version)
  t.is(workersOf(rig).ready, 1)
  await rig.until(() => workersOf(rig).ready === 0)
  t.like(rig.processor.status()[0]!, { ready: true })
  await rig.publish('a', 'x')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  await rig.until(() => workersOf(rig).ready === 0)
  t.is((await rig.invoke('f', '')).body.toString(), 'here')
  t.is(workersOf(rig).restarts, 0)
})

test('adopted pool with minWorkers 0 starts a worker at once only when it is to be prewarmed', async (t) => {
  const rig = await rigOf(t)
  const version = (more: string) =>
    rig.version(spec(`    a: ${mqtt('a', `minWorkers: 0, ${more}`)}\n`), { 'main.mjs': `export const handler = () => {}` })
  await rig.processor.adopt(version(''))
  t.is(workersOf(rig).wanted, 0)
  await rig.processor.adopt(version('prewarm: true,'))
  await rig.until(() => workersOf(rig).ready === 1)
  t.pass()
})

needs(test, 'python3')('worker that ends by itself again and again is in a crash loop, and its neighbour goes on', async (t) => {
  const rig = await rigOf(t)
  const handler = `import os, threading
def init_context(context):
    if context.trigger_name == 'bad': threading.Timer(0.05, lambda: os._exit(3)).start()
def handler(context, event):
    context.emit('out', event.body)
`
  await rig.processor.activate(
    rig.version(spec(`    bad: ${mqtt('bad')}\n    good: ${mqtt('good')}\n`, 'runtime: python'), { 'main.py': handler }),
  )
  await rig.until(() => workersOf(rig).crashLoop)
  t.regex(rig.processor.status()[0]!.error!, /exit code 3/)
  await rig.publish('good', 'fine')
  await rig.until(async () => (await rig.rows('out')).includes('fine'))
  t.true(workersOf(rig).restarts >= 3)
})

test('event of QoS 0 that no worker takes in time goes to the inbox and is handled once', async (t) => {
  const rig = await rigOf(t)
  const gate = `${tempDir(t)}/gate`
  const handler = `const { existsSync } = require('node:fs')
module.exports.handler = async (context, event) => {
  while (!existsSync(process.env.GATE)) await new Promise((r) => setTimeout(r, 10))
  context.emit('out', event.body.toString())
}`
  const triggers = `    a: { kind: mqtt, concurrency: 1, orderKey: none, workerAvailabilityTimeoutMilliseconds: 50, attributes: { subscriptions: [{ topic: a, qos: 0 }] } }\n`
  await rig.processor.activate(
    rig.version(spec(triggers, `runtime: nodejs\n  env: [{ name: GATE, value: '${gate}' }]`), { 'main.cjs': handler }),
  )
  for (const body of ['1', '2', '3']) await rig.publish('a', body, 0)
  const kept = async () => (await rig.store.ledger()).sources[0]!.accepted
  await rig.until(async () => (await kept()) >= 2)
  writeFileSync(gate, '')
  await rig.until(async () => (await rig.rows('out')).length === 3)
  t.deepEqual((await rig.rows('out')).toSorted(), ['1', '2', '3'])
  t.like(rig.processor.status()[0]!.triggers[0]!, { received: 3, handled: 3, refused: 0, buried: 0 })
})

test('static allocation gives each order key to one worker', async (t) => {
  const rig = await rigOf(t)
  const handler = `const seen = new Map()
export function handler(context, event) {
  const n = (seen.get(event.topic) ?? 0) + 1
  seen.set(event.topic, n)
  context.emit('out', event.topic + ' ' + n)
}`
  await rig.processor.activate(
    rig.version(spec(`    a: ${mqtt('#', 'numWorkers: 3, workerAllocationMode: static,')}\n`), { 'main.mjs': handler }),
  )
  const topics = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  const rounds = [1, 2, 3, 4, 5]
  for (const _ of rounds) await Promise.all(topics.map((topic) => rig.publish(topic, 'x')))
  await rig.until(async () => (await rig.rows('out')).length === topics.length * rounds.length)
  const expected = topics.flatMap((topic) => rounds.map((n) => `${topic} ${n}`))
  t.deepEqual((await rig.rows('out')).toSorted(), expected.toSorted())
})

test('versions that change under load lose no event and keep none twice', async (t) => {
  const rig = await rigOf(t)
  const version = (n: number) =>
    rig.version(spec(`    a: ${mqtt('#', 'numWorkers: 2,')}\n`), {
      'main.mjs': `export async function handler(context, event) {
  await new Promise((r) => setTimeout(r, 2))
  context.emit('out', event.body.toString() + ' by ${n}')
}`,
    })
  await rig.processor.activate(version(0))
  const sent: string[] = []
  let isOver = false
  const load = (async () => {
    for (;;) {
      if (isOver) return
      const body = `e${sent.length}`
      sent.push(body)
      await rig.publish(`t/${sent.length % 7}`, body)
    }
  })()
  for (let n = 1; n <= 4; n++) {
    await rig.processor.activate(version(n))
    await rig.until(async () => (await rig.rows('out')).some((row) => row.endsWith(`by ${n}`)))
  }
  isOver = true
  await load
  await rig.until(async () => (await rig.rows('out')).length >= sent.length)
  const bodies = (await rig.rows('out')).map((row) => row.split(' ')[0]!)
  t.deepEqual(bodies.toSorted(), sent.toSorted())
  const { sources } = await rig.store.ledger()
  t.like(sources[0]!, { accepted: sent.length, dead: 0 })
  t.is(rig.processor.status()[0]!.workers.restarts, 0)
})

test('event of one trigger is given a shared worker that an event of another trigger held until its time-out', async (t) => {
  const rig = await rigOf(t)
  await rig.processor.activate(
    rig.version(
      spec(
        `    api: { kind: http, workerAllocatorName: one }
    in: { kind: mqtt, workerAllocatorName: one, attributes: { subscriptions: [{ topic: 't/#' }] } }`,
        'runtime: shell\n  handler: main.sh\n  outputStream: out\n  eventTimeout: 300ms',
      ),
      { 'main.sh': '#!/bin/sh\nread -r body\n[ "$body" = hang ] && exec sleep 60\necho "$body"\n' },
    ),
  )
  const hanging = rig.invoke('f', 'hang')
  await rig.publish('t/1', 'event')
  t.not((await hanging).error, undefined)
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['event\n'])
})

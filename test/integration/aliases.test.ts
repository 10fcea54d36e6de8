import test from 'ava'
import { request } from 'node:http'
import { bodyOf, headOf } from '../../runtime/event/event-writer.ts'
import { itemsOf } from '../../runtime/event/head.ts'
import { Tag } from '../../runtime/event/record.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'
import { withRig } from '../support/with-rig.ts'

const HTTP = `    api: { kind: http }`
const MQTT = `    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

const spec = (triggers: string, more = '', name = 'f') => `
metadata: { name: ${name} }
spec:
  runtime: nodejs
  handler: main:handler
  maxAttempts: 3
  retry: { first: 10ms, max: 1s }
${more}
  triggers:
${triggers}`

/** Answers and emits which version it is, with what it got. */
const says = (label: string) => ({
  'main.mjs': `export const handler = (context, event) => {
    if (event.topic) context.emit('out', '${label}:' + event.topic + ':' + event.body)
    return '${label} ' + event.path
  }`,
})

/** Takes as long as it is told. */
const failing = { 'main.mjs': `export const handler = () => { throw new Error('no') }` }

function ask(rig: ProcessorRig, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port: rig.http.address!.port, path, method: 'POST', agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve({ status: response.statusCode!, body: Buffer.concat(chunks).toString() }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

test.serial('requests to /beta go to the test version and all others to production', withRig, async (t, rig) => {
  const { processor } = rig
  const beta = `  routes: [{ path: /beta, alias: test }]`
  await processor.activate(rig.version(spec(`    api: { kind: http, attributes: { paths: [/] } }`, beta), says('one')))
  t.is((await ask(rig, '/beta')).body, 'one /beta', 'without a test version it is production that answers')
  await processor.activate(rig.version(spec(HTTP), says('two')), 'test')
  const answers = await Promise.all(['/', '/beta', '/beta/deep', '/betamax'].map((path) => ask(rig, path)))
  t.deepEqual(
    answers.map(({ body }) => body),
    ['one /', 'two /beta', 'two /beta/deep', 'one /betamax'],
  )
  await processor.deactivate('f', 1000, 'test')
  t.is((await ask(rig, '/beta')).body, 'one /beta')
})

test.serial('path of a route is served also where the trigger does not listen, while its alias runs', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(HTTP), says('one')))
  await processor.setDeviceRoutes('f', [{ path: '/beta', alias: 'test' }])
  t.is((await ask(rig, '/beta')).status, 404)
  await processor.activate(rig.version(spec(HTTP), says('two')), 'test')
  t.is((await ask(rig, '/beta/x')).body, 'two /beta/x')
  t.is((await ask(rig, '/f')).body, 'one /f')
  await processor.setDeviceRoutes('f', [])
  t.is((await ask(rig, '/beta')).status, 404)
  await processor.setDeviceRoutes('f', [{ path: '/beta', alias: 'test' }])
  t.is((await ask(rig, '/beta')).body, 'two /beta')
  await processor.deactivate('f', 1000, 'test')
  t.is((await ask(rig, '/beta')).status, 404)
})

test.serial('share of the topics goes to the canary, each topic as a whole and in order', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(MQTT), says('one')))
  await processor.activate(rig.version(spec(MQTT), says('two')), 'canary')
  await processor.setDeviceRoutes('f', [{ percent: 30, by: 'orderKey', alias: 'canary' }])
  await Promise.all(Array.from({ length: 600 }, (_, i) => rig.publish(`in/${i % 60}`, String(i))))
  await rig.until(async () => (await rig.rows('out')).length >= 600)
  const rows = (await rig.rows('out')).map((row) => row.split(':'))
  t.is(rows.length, 600)
  const labels = new Map<string, Set<string>>()
  for (let key = 0; key < 60; key++) {
    const own = rows.filter(([, topic]) => topic === `in/${key}`)
    labels.set(`in/${key}`, new Set(own.map(([label]) => label!)))
    t.deepEqual(
      own.map(([, , body]) => Number(body)),
      Array.from({ length: 10 }, (_, i) => i * 60 + key),
    )
  }
  t.true([...labels.values()].every((found) => found.size === 1))
  const atCanary = [...labels.values()].filter((found) => found.has('two')).length
  t.true(atCanary > 3 && atCanary < 40, `${atCanary} of 60 topics`)
  const names = (await rig.store.ledger()).sources.map(({ name, accepted, balanced }) => [name, accepted, balanced])
  t.deepEqual(names, [
    ['f/in', 600 - atCanary * 10, true],
    ['f/in@canary', atCanary * 10, true],
  ])
})

test.serial('version under test that fails on everything holds back no event of production', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(MQTT), says('one')))
  await processor.activate(rig.version(spec(MQTT, '').replace('maxAttempts: 3', 'maxAttempts: 100'), failing), 'test')
  await processor.setDeviceRoutes('f', [{ topic: 'in/0', alias: 'test' }])
  await rig.publish('in/0', 'blocked')
  for (let i = 0; i < 50; i++) await rig.publish('in/1', String(i))
  await rig.until(async () => (await rig.rows('out')).length === 50)
  const [status] = processor.status()
  t.is(status!.aliases[0]!.alias, 'test')
  t.like(status!.aliases[0]!.triggers[0], { received: 1, handled: 0, waiting: 1 })
})

test.serial('events that wait for an alias go to production when it is no more, also over a restart', async (t) => {
  const directory = tempDir(t)
  let rig = await ProcessorRig.open(directory)
  const hanging = { 'main.mjs': `export const handler = () => new Promise(() => {})` }
  const one = () => rig.version(spec(MQTT), says('one'))
  await rig.processor.activate(one())
  await rig.processor.activate(rig.version(spec(MQTT), hanging), 'test')
  await rig.processor.setDeviceRoutes('f', [{ alias: 'test' }])
  await Promise.all(Array.from({ length: 2500 }, (_, i) => rig.publish('in/a', String(i))))
  // Stopped: the events stay with the alias, and nobody else takes them.
  await rig.close()
  rig = await ProcessorRig.open(directory)
  await rig.processor.adopt(one())
  await rig.processor.gather('f', new Set(['test']))
  t.is((await rig.store.ledger()).sources.find(({ name }) => name === 'f/in@test')?.waiting, 2500)
  t.false(rig.processor.sources.has('f/in@test'))
  // No more: while new events come, the old ones go to production.
  const more = Promise.all(Array.from({ length: 500 }, (_, i) => rig.publish('in/b', String(i))))
  await rig.processor.gather('f', new Set())
  await more
  await rig.until(async () => (await rig.rows('out')).length >= 3000)
  const rows = await rig.rows('out')
  t.is(new Set(rows).size, 3000)
  t.is(rows.length, 3000)
  t.deepEqual(
    rows.filter((row) => row.startsWith('one:in/a:')).map((row) => Number(row.split(':')[2])),
    Array.from({ length: 2500 }, (_, i) => i),
    'in the order in which they came',
  )
  const { sources } = await rig.store.ledger()
  t.true(sources.every(({ balanced, waiting }) => balanced && waiting === 0))
  t.is(
    sources.reduce((sum, { accepted }) => sum + accepted, 0),
    3000,
  )
  await rig.close()
})

test.serial('routes of the device are kept over a restart, and give way to those of the hub', async (t) => {
  const directory = tempDir(t)
  let rig = await ProcessorRig.open(directory)
  const spec1 = spec(HTTP, `  routes: [{ path: /spec, alias: test }]`)
  await rig.processor.activate(rig.version(spec1, says('one')))
  t.is(rig.processor.routesOf('f')!.origin, 'spec')
  await rig.processor.setDeviceRoutes('f', [{ path: '/own', alias: 'test' }])
  await rig.close()
  rig = await ProcessorRig.open(directory)
  await rig.processor.adopt(rig.version(spec1, says('one')))
  t.deepEqual(rig.processor.routesOf('f'), { origin: 'device', list: [{ path: '/own', alias: 'test' }], problem: undefined })
  await rig.processor.setHubRoutes('f', [])
  t.deepEqual(rig.processor.routesOf('f'), { origin: 'hub', list: [], problem: undefined })
  const error = await t.throwsAsync<Error & { code: string }>(rig.processor.setDeviceRoutes('f', []))
  t.is(error.code, 'routes-of-hub')
  await rig.processor.setHubRoutes('f', undefined)
  await rig.processor.setDeviceRoutes('f', undefined)
  t.is(rig.processor.routesOf('f')!.origin, 'spec')
  await rig.close()
})

test.serial('aliases have a state each', withRig, async (t, rig) => {
  const counts = {
    'main.mjs': `export async function handler(context, event) {
      const n = ((await context.state.get('n')) ?? 0) + 1
      context.state.set('n', n)
      return String(n)
    }`,
  }
  await rig.processor.activate(rig.version(spec(HTTP), counts))
  await rig.processor.activate(rig.version(spec(HTTP), counts), 'test')
  const call = async (name: string) => (await rig.invoke(name, '')).body.toString()
  t.deepEqual([await call('f'), await call('f'), await call('f@test'), await call('f@2'), await call('f@v1')], ['1', '2', '1', '2', '3'])
  t.like(await rig.invoke('f@gone', ''), { status: 404 })
})

test.serial('rows of a version under test say so in their headers, those of production have none', withRig, async (t, rig) => {
  const answers = `  outputStream: answers`
  await rig.processor.activate(rig.version(spec(MQTT, answers), says('one')))
  await rig.processor.activate(rig.version(spec(MQTT, answers), says('two')), 'test')
  await rig.processor.setDeviceRoutes('f', [{ topic: 'in/test', alias: 'test' }])
  await rig.publish('in/a', '1')
  await rig.publish('in/test', '2')
  await rig.until(async () => (await rig.rows('out')).length === 2 && (await rig.rows('answers')).length === 2)
  for (const stream of ['out', 'answers']) {
    const rows = await rig.store.readStream(rig.processor.streams.idOf(stream)!, 1, 10, 10, 1e6)
    const headers = (label: string) => {
      const { record } = rows.find((row) => bodyOf(row.record).toString().startsWith(label))!
      return { ...itemsOf(headOf(record), Tag.header) }
    }
    t.deepEqual(headers('one'), {})
    t.deepEqual(headers('two'), { 'dunlin-alias': 'test', 'dunlin-version': '2' })
  }
})

test.serial('routes that change under load lose and double nothing', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(MQTT), says('one')))
  await processor.activate(rig.version(spec(MQTT), says('two')), 'test')
  const load = new AbortController()
  let sent = 0
  const loading = (async () => {
    while (!load.signal.aborted) {
      await Promise.all(Array.from({ length: 50 }, () => rig.publish(`in/${sent % 7}`, String(sent++))))
    }
  })()
  for (const percent of [10, 50, 100, 0, 30]) {
    await processor.setDeviceRoutes('f', [{ percent, by: 'orderKey', alias: 'test' }])
    await processor.activate(rig.version(spec(MQTT), says('two')), 'test')
    await processor.activate(rig.version(spec(MQTT), says('one')))
  }
  await processor.deactivate('f', 1000, 'test')
  await processor.gather('f', new Set())
  load.abort()
  await loading
  await rig.until(async () => (await rig.rows('out')).length >= sent)
  const bodies = (await rig.rows('out')).map((row) => Number(row.split(':')[2]))
  t.is(bodies.length, sent)
  t.is(new Set(bodies).size, sent)
  const { sources } = await rig.store.ledger()
  t.true(sources.every(({ balanced, waiting, dead }) => balanced && waiting === 0 && dead === 0))
})

test.serial('one message reaches every function that listens, and one function listens to many sources', withRig, async (t, rig) => {
  const many = `${MQTT}\n    other: { kind: mqtt, attributes: { subscriptions: [{ topic: 'other/+', qos: 1 }] } }\n    api: { kind: http }`
  await rig.processor.activate(rig.version(spec(many), says('f')))
  await rig.processor.activate(rig.version(spec(MQTT, '', 'g'), says('g')))
  await rig.publish('in/x', '1')
  await rig.publish('other/y', '2')
  await rig.until(async () => (await rig.rows('out')).length === 3)
  t.deepEqual((await rig.rows('out')).sort(), ['f:in/x:1', 'f:other/y:2', 'g:in/x:1'])
  t.is((await ask(rig, '/f/z')).body, 'f /f/z')
})

test.serial('trigger that only the version under test has gives its events to that version', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec(HTTP), says('one')))
  await rig.processor.activate(rig.version(spec(`${HTTP}\n${MQTT}`), says('two')), 'test')
  await rig.publish('in/x', '1')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['two:in/x:1'])
  t.is((await ask(rig, '/f')).body, 'one /f')
})

test.serial('first version of an alias whose trigger cannot listen leaves everything as it was', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec(HTTP, '', 'g'), says('g')))
  await rig.processor.activate(rig.version(spec(HTTP), says('one')))
  const taken = `${HTTP}\n    more: { kind: http, attributes: { paths: [/g] } }`
  await t.throwsAsync(rig.processor.activate(rig.version(spec(taken), says('two')), 'test'), { message: /\/g/ })
  t.deepEqual(rig.processor.status().find(({ name }) => name === 'f')!.aliases, [])
  t.is((await ask(rig, '/f')).body, 'one /f')
  t.is((await ask(rig, '/g')).body, 'g /g')
})

test.serial('events of a trigger that is removed while they wait are told as unserved, and go to another trigger when told', async (t) => {
  const directory = tempDir(t)
  let rig = await ProcessorRig.open(directory)
  const hanging = { 'main.mjs': `export const handler = () => new Promise(() => {})` }
  await rig.processor.activate(rig.version(spec(MQTT), hanging))
  await Promise.all(Array.from({ length: 30 }, (_, i) => rig.publish('in/a', String(i))))
  await rig.close()
  rig = await ProcessorRig.open(directory)
  const renamed = MQTT.replace('    in:', '    renamed:')
  await rig.processor.activate(rig.version(spec(renamed), says('one')))
  t.deepEqual([...rig.processor.sources], ['f/renamed'])
  t.is((await rig.store.ledger()).sources.find(({ name }) => name === 'f/in')!.waiting, 30)
  const served = await t.throwsAsync<Error & { code: string }>(rig.processor.moveWaiting('f/renamed', 'f/in'))
  t.is(served.code, 'source-served')
  await t.throwsAsync(rig.processor.moveWaiting('f/in', 'f/nothing'), { message: /No function takes events of "f\/nothing"/ })
  await t.throwsAsync(rig.processor.moveWaiting('f/nothing', 'f/renamed'), { message: /Nothing ever waited/ })
  t.is(await rig.processor.moveWaiting('f/in', 'f/renamed'), 30)
  await rig.until(async () => (await rig.rows('out')).length === 30)
  t.true((await rig.store.ledger()).sources.every(({ balanced, waiting }) => balanced && waiting === 0))
  await rig.close()
})

test.serial('path of a route that another function serves is told, and stops no deployment', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(HTTP, '', 'g'), says('g')))
  await processor.activate(rig.version(spec(HTTP), says('one')))
  await processor.activate(rig.version(spec(HTTP), says('two')), 'test')
  await processor.setDeviceRoutes('f', [
    { path: '/g', alias: 'test' },
    { path: '/beta', alias: 'test' },
  ])
  t.regex(processor.routesOf('f')!.problem ?? '', /path "\/g"/)
  t.is((await ask(rig, '/beta')).body, 'two /beta')
  t.is((await ask(rig, '/g')).body, 'g /g')
  await processor.activate(rig.version(spec(HTTP), says('three')))
  t.is((await ask(rig, '/f')).body, 'three /f')
  await processor.deactivate('g', 1000)
  await processor.activate(rig.version(spec(HTTP), says('four')))
  t.is(processor.routesOf('f')!.problem, undefined)
  t.is((await ask(rig, '/g')).body, 'two /g')
})

test.serial('trigger whose new config cannot listen listens again as before when its version comes back', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.activate(rig.version(spec(HTTP, '', 'g'), says('g')))
  const one = rig.version(spec(HTTP), says('one'))
  await processor.activate(one)
  const taken = `    api: { kind: http, attributes: { paths: [/f, /g] } }`
  await t.throwsAsync(processor.activate(rig.version(spec(taken), says('two'))), { message: /\/g/ })
  await processor.activate(one)
  t.is((await ask(rig, '/f')).body, 'one /f')
  t.is((await ask(rig, '/g')).body, 'g /g')
})

test.serial('at a start, aliases are there before the first event is let in', withRig, async (t, rig) => {
  const { processor } = rig
  await processor.setHubRoutes('f', [{ alias: 'test' }])
  await processor.adopt(rig.version(spec(MQTT), says('two')), 'test')
  await rig.publish('in/a', 'nobody listens yet')
  await processor.adopt(rig.version(spec(MQTT), says('one')))
  await rig.publish('in/a', '1')
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['two:in/a:1'])
})

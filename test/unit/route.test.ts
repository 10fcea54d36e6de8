import test from 'ava'
import { wantedTriggers } from '../../runtime/functions/entrances.ts'
import { isBelow, makeRouter, matchesTopic } from '../../runtime/functions/route.ts'
import { RouteTable } from '../../runtime/functions/route-table.ts'
import { Clock } from '../../runtime/base/clock.ts'
import { UuidSource } from '../../runtime/base/uuid.ts'
import { EventWriter } from '../../runtime/event/event-writer.ts'
import { Tag } from '../../runtime/event/record.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import type { Route } from '../../config/routes.ts'

const events = new EventWriter(new Clock(), new UuidSource(), 1)
const ALIASES = new Map([
  ['production', '1'],
  ['test', '2'],
  ['canary', '3'],
])
const HTTP = { name: 'api', orderKey: 'none' } as const
const MQTT = { name: 'pumps', orderKey: 'topic' } as const

const request = (path: string) => {
  events.head.add(Tag.path, path)
  return events.finish(Buffer.alloc(0))
}
const message = (topic: string) => {
  events.head.add(Tag.topic, topic)
  return events.finish(Buffer.alloc(0))
}
const routerOf = (...routes: Route[]) => makeRouter(routes, ALIASES)!

test('router without rules, or with rules to aliases that do not run, is none at all', (t) => {
  t.is(makeRouter([], ALIASES), null)
  t.is(makeRouter([{ alias: 'gone' }, { version: 9, percent: 50 }], ALIASES), null)
  t.is(makeRouter([{ alias: 'production', path: '/' }], ALIASES), null)
})

test('router takes the first rule that fits, and production when none does', (t) => {
  const route = routerOf(
    { path: '/beta/old', alias: 'production' },
    { path: '/beta', alias: 'test' },
    { path: '/', alias: 'production' },
    { alias: 'canary' },
  )
  t.is(route(request('/beta'), HTTP), 'test')
  t.is(route(request('/beta/x'), HTTP), 'test')
  t.is(route(request('/beta/old/x'), HTTP), 'production')
  t.is(route(request('/betamax'), HTTP), 'production')
  t.is(route(message('a/b'), MQTT), 'canary', 'a message has no path')
  t.is(routerOf({ trigger: 'pumps', alias: 'test' })(request('/'), HTTP), 'production')
})

test('router passes over a rule whose alias does not run', (t) => {
  const route = routerOf({ alias: 'gone' }, { topic: 'pumps/+/pressure', alias: 'test' })
  t.is(route(message('pumps/7/pressure'), MQTT), 'test')
  t.is(route(message('pumps/7/flow'), MQTT), 'production')
})

test('router finds the alias that runs a version', (t) => {
  t.is(routerOf({ version: 3, trigger: 'pumps' })(message('a'), MQTT), 'canary')
})

test('share of events is near its percentage, and the same event always falls on the same side', (t) => {
  const route = routerOf({ percent: 10, alias: 'test' })
  const records = Array.from({ length: 10_000 }, () => message('a'))
  const first = records.map((record) => route(record, MQTT))
  t.deepEqual(
    records.map((record) => route(record, MQTT)),
    first,
  )
  const share = first.filter((alias) => alias === 'test').length
  // Binomial: 10 standard deviations.
  t.true(share > 700 && share < 1300, `${share} of 10,000`)
})

test('share by order key holds all events of a key together, and grows without moving a key back', (t) => {
  const topics = Array.from({ length: 1000 }, (_, i) => `sensors/${i}`)
  const keysAt = (percent: number) => {
    const route = routerOf({ percent, by: 'orderKey', alias: 'test' })
    const chosen = topics.filter((topic) => route(message(topic), MQTT) === 'test')
    for (const topic of topics) t.is(route(message(topic), MQTT) === 'test', chosen.includes(topic))
    return new Set(chosen)
  }
  const [ten, thirty] = [keysAt(10), keysAt(30)]
  t.true(ten.size > 40 && ten.size < 180, `${ten.size} of 1,000`)
  t.true(thirty.size > 200 && thirty.size < 400, `${thirty.size} of 1,000`)
  t.true([...ten].every((topic) => thirty.has(topic)))
  t.is(keysAt(0).size, 0)
  t.is(keysAt(100).size, 1000)
})

test('two shares of the same keys are drawn independently', (t) => {
  const route = routerOf({ percent: 50, by: 'orderKey', alias: 'test' }, { percent: 50, by: 'orderKey', alias: 'canary' })
  const found = Array.from({ length: 1000 }, (_, i) => route(message(`s/${i}`), MQTT))
  const canary = found.filter((alias) => alias === 'canary').length
  t.true(canary > 170 && canary < 330, `${canary} of 1,000: half of the other half`)
})

test('path is below another at whole segments only', (t) => {
  t.true(isBelow('/a', '/a') && isBelow('/a/b', '/a') && isBelow('/a/', '/a/') && isBelow('/x', '/') && isBelow('/', '/'))
  t.false(isBelow('/ab', '/a') || isBelow('/', '/a'))
})

test('topic filter matches as MQTT has it', (t) => {
  const matches = (filter: string, topic: string) => matchesTopic(filter.split('/'), topic)
  t.true(matches('a/#', 'a') && matches('a/#', 'a/b/c') && matches('+/b', 'a/b') && matches('#', 'a') && matches('a', 'a'))
  t.false(matches('a/+', 'a') || matches('a/+', 'a/b/c') || matches('#', '$SYS/x') || matches('a', 'a/b'))
})

test('routes of the hub count before those of the device, those before the spec', (t) => {
  const table = new RouteTable()
  t.deepEqual(table.current, { origin: 'none', list: [] })
  table.set('spec', [{ alias: 'test' }])
  t.is(table.current.origin, 'spec')
  table.set('device', [])
  t.deepEqual(table.current, { origin: 'device', list: [] })
  table.set('hub', [{ alias: 'canary' }])
  t.is(table.current.origin, 'hub')
  table.set('hub', undefined)
  t.is(table.current.origin, 'device')
})

test('triggers are those of production, and others that only another alias has; without production there are none', (t) => {
  const config = (triggers: string) =>
    parseFunctionConfig(`metadata: { name: f }\nspec:\n  runtime: nodejs\n  triggers: { ${triggers} }\n`, 'function.yaml')
  const production = config(`a: { kind: cron, attributes: { interval: 1s } }`)
  const beta = config(`a: { kind: cron, attributes: { interval: 5s } }, b: { kind: http }`)
  const wanted = wantedTriggers(
    new Map([
      ['test', beta],
      ['production', production],
    ]),
  )
  t.deepEqual(
    [...wanted].map(
      ([
        name,
        {
          owner,
          config: { kind },
        },
      ]) => [name, owner, kind],
    ),
    [
      ['a', 'production', 'cron'],
      ['b', 'test', 'http'],
    ],
  )
  t.is(wanted.get('a')!.config, production.triggers[0]!)
  t.is(wantedTriggers(new Map([['test', beta]])).size, 0)
})

import test from 'ava'
import { aimText, conditionsText, withoutRoutes, withRoute } from '../../agent/cli/route-list.ts'
import type { Route } from '../../config/routes.ts'

const beta: Route = { path: '/beta', alias: 'test' }
const share: Route = { percent: 10, by: 'orderKey', alias: 'canary' }

test('route for the same events takes the place of the one there was', (t) => {
  t.deepEqual(withRoute([beta, share], { path: '/beta', alias: 'next' }, false), [{ path: '/beta', alias: 'next' }, share])
  t.deepEqual(withRoute([beta, share], { percent: 20, alias: 'canary' }, false), [beta, { percent: 20, alias: 'canary' }])
})

test('shares of two aliases stand beside each other, and so do other conditions', (t) => {
  t.deepEqual(withRoute([share], { percent: 10, alias: 'test' }, false), [share, { percent: 10, alias: 'test' }])
  t.deepEqual(withRoute([beta], { path: '/beta', trigger: 'api', alias: 'test' }, false).length, 2)
})

test('first route goes before all others, and is there once', (t) => {
  t.deepEqual(withRoute([share, beta], beta, true), [beta, share])
})

test('routes that have all that is named are left out', (t) => {
  t.deepEqual(withoutRoutes([beta, share], { alias: 'test' }), [share])
  t.deepEqual(withoutRoutes([beta, share], { alias: 'test', path: '/other' }), [beta, share])
  t.deepEqual(withoutRoutes([beta, share], { percent: 10 }), [beta])
})

test('route in words', (t) => {
  t.is(conditionsText(beta), 'path /beta')
  t.is(conditionsText(share), '10 % by order key')
  t.is(conditionsText({ trigger: 'a', topic: 'b/#' }), 'trigger a, topic b/#')
  t.is(conditionsText({}), 'everything')
  t.is(aimText({ version: 3 }), 'version 3')
})

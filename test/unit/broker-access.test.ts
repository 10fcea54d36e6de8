import test from 'ava'
import { compileAccess } from '../../adapters/broker/access-rules.ts'
import type { ClientInfo, Verb } from '../../adapters/broker/contract.ts'

function client(clientId: string, username: string | null): ClientInfo {
  return { clientId, identity: username ?? '', username, address: '127.0.0.1', isLoopback: true }
}

const access = compileAccess([
  { user: 'pump', publish: ['sensors/%c/#', 'users/%u/out'], subscribe: ['commands/%c/+', 'shared/#'] },
  { user: '*', publish: ['hello'], subscribe: [] },
  { user: 'admin', publish: ['#'], subscribe: ['#'] },
])

/** [user, client id, verb, topic, allowed] */
const table: [string | null, string, Verb, string, boolean][] = [
  ['pump', 'p1', 'publish', 'sensors/p1', true],
  ['pump', 'p1', 'publish', 'sensors/p1/temperature', true],
  ['pump', 'p1', 'publish', 'sensors/p2/temperature', false],
  ['pump', 'p1', 'publish', 'sensors', false],
  ['pump', 'p1', 'publish', 'Sensors/p1/x', false],
  ['pump', 'P1', 'publish', 'sensors/p1/x', false],
  ['pump', 'p1', 'publish', 'users/pump/out', true],
  ['pump', 'p1', 'publish', 'users/admin/out', false],
  ['pump', 'p1', 'publish', 'hello', true],
  ['pump', 'p1', 'publish', 'hello/x', false],
  ['pump', 'p1', 'subscribe', 'hello', false],
  ['pump', 'p1', 'subscribe', 'commands/p1/+', true],
  ['pump', 'p1', 'subscribe', 'commands/p1/stop', true],
  ['pump', 'p1', 'subscribe', 'commands/p1/#', false],
  ['pump', 'p1', 'subscribe', 'commands/+/stop', false],
  ['pump', 'p1', 'subscribe', 'shared/+/x', true],
  ['pump', 'p1', 'subscribe', '#', false],
  ['pump', 'p1', 'subscribe', '+/p1/stop', false],
  ['pump', '+', 'publish', 'sensors/+/x', false],
  ['pump', '+', 'publish', 'sensors/p2/x', false],
  ['pump', '#', 'publish', 'sensors/#', false],
  ['pump', 'p2/x', 'publish', 'sensors/p2/x', false],
  ['pump', '..', 'publish', 'sensors/../x', true],
  ['pump', '', 'publish', 'sensors//x', false],
  ['pump', 'a\0', 'publish', 'sensors/a\0', false],
  [null, 'p1', 'publish', 'sensors/p1/x', false],
  [null, 'p1', 'publish', 'hello', true],
  [null, 'p1', 'subscribe', 'shared/x', false],
  ['other', 'p1', 'publish', 'sensors/p1/x', false],
  ['admin', 'a', 'publish', 'anything/at/all', true],
  ['admin', 'a', 'subscribe', '#', true],
  ['*', 'a', 'subscribe', 'shared/x', false],
]

test('access rules decide the table of cases without an error', (t) => {
  for (const [user, id, verb, topic, allowed] of table) {
    t.is(access(user ?? '', verb, topic, client(id, user)), allowed, `${user} ${id} ${verb} ${topic}`)
  }
})

test("without rules everything but the agent's own topics is open", (t) => {
  const open = compileAccess([])
  t.true(open('', 'publish', 'a/b', client('x', null)))
  t.true(open('', 'subscribe', '#', client('x', null)))
  t.false(open('', 'publish', 'dunlin/commands', client('x', null)))
  t.false(open('', 'subscribe', 'dunlin/#', client('x', null)))
})

test('a user without a rule may do nothing', (t) => {
  const closed = compileAccess([{ user: 'pump', publish: [], subscribe: [] }])
  for (const user of ['pump', 'other', '']) t.false(closed(user, 'publish', 'a', client('x', user)))
})

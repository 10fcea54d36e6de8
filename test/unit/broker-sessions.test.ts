import test from 'ava'
import type { AedesPacket } from '../../adapters/broker/aedes-internals.ts'
import { InboundIds } from '../../adapters/broker/inbound-ids.ts'
import { InFlightBudget } from '../../adapters/broker/in-flight-budget.ts'
import { OutgoingQueue } from '../../adapters/broker/outgoing-queue.ts'
import { Sessions } from '../../adapters/broker/sessions.ts'

const queue = { messagesMax: 10, bytesMax: 10_000 }

function message(counter: number, payload = 'x', topic = 'a/b', qos: 0 | 1 | 2 = 1): AedesPacket {
  return { cmd: 'publish', topic, payload: Buffer.from(payload), qos, retain: false, brokerCounter: counter }
}

test('a session expires when its client stayed away too long, and not while it is connected', (t) => {
  let nowMs = 0
  const sessions = new Sessions({ sessionsMax: 10, expiryMs: 1000, queue }, () => nowMs)
  const away = sessions.open('away', '')!
  sessions.open('here', '')
  sessions.subscribe(away, { topic: 'a/#', qos: 1 })
  sessions.leave('away')
  nowMs = 999
  t.deepEqual(sessions.expire(), [])
  sessions.open('away', '')
  sessions.leave('away')
  nowMs = 1998
  t.deepEqual(sessions.expire(), [])
  nowMs = 1999
  t.deepEqual(sessions.expire(), ['away'])
  t.false(sessions.reaches('a/b'))
  t.is(sessions.size, 1)
})

test('a message is queued once for a session with overlapping filters, at the highest QoS it may have', (t) => {
  const sessions = new Sessions({ sessionsMax: 10, expiryMs: 1000, queue }, () => 0)
  const session = sessions.open('a', '')!
  sessions.subscribe(session, { topic: 'a/#', qos: 1 })
  sessions.subscribe(session, { topic: 'a/b', qos: 2 })
  sessions.subscribe(session, { topic: '+/b', qos: 0 })
  t.is(sessions.enqueue(message(1, 'x', 'a/b', 2)), 0)
  t.deepEqual(
    session.queue.packets().map(({ qos }) => qos),
    [2],
  )
  sessions.subscribe(session, { topic: 'a/b', qos: 0 })
  sessions.enqueue(message(2, 'y', 'a/b', 2))
  t.deepEqual(
    session.queue.packets().map(({ qos }) => qos),
    [2, 1],
  )
})

test('a queue refuses what is over its bytes', (t) => {
  const small = new OutgoingQueue({ messagesMax: 10, bytesMax: 1000 })
  t.true(small.add(message(1, 'x'.repeat(500))))
  t.false(small.add(message(2, 'x'.repeat(500))))
  t.is(small.size, 1)
})

test('a queue gives a message another id when an older one still holds it', (t) => {
  const owed = new OutgoingQueue(queue)
  const [first, second] = [message(1), message(2)]
  for (const each of [first, second]) {
    owed.add(each)
    each.messageId = 65_535
    t.true(owed.sent(each))
  }
  t.is(second.messageId, 1)
  t.is(owed.acknowledged(65_535)?.brokerCounter, 1)
  t.is(owed.acknowledged(65_535), undefined)
  t.deepEqual(
    owed.packets().map(({ messageId, dup }) => [messageId, dup]),
    [[1, true]],
  )
})

test('a queue keeps a message that another subscription of the client is sending', (t) => {
  const owed = new OutgoingQueue(queue)
  owed.add(message(1))
  owed.add(message(2))
  owed.claim(1)
  owed.drop(1)
  owed.drop(2)
  t.deepEqual(
    owed.packets().map(({ brokerCounter }) => brokerCounter),
    [1],
  )
})

test('a QoS 2 id that was forgotten with its session stays forgotten when its message is confirmed', (t) => {
  const ids = new InboundIds()
  const settled = ids.begin('a', 1)
  t.is(ids.state('a', 1), 'pending')
  ids.forget('a')
  t.truthy(ids.begin('a', 1))
  if (settled !== false) settled.taken()
  t.is(ids.state('a', 1), 'pending', 'that of the new session')
})

test('QoS 2 ids without PUBREL are bounded', (t) => {
  const ids = new InboundIds()
  for (let id = 1; id <= 1000; id++) t.truthy(ids.begin('a', id))
  t.false(ids.begin('a', 1001))
  ids.release('a', 5)
  t.truthy(ids.begin('a', 1001))
})

test('a full budget wakes those who wait once half of it is free', (t) => {
  const budget = new InFlightBudget(100)
  const woken: string[] = []
  budget.take(60)
  budget.take(60)
  t.true(budget.isFull)
  const gone = () => void woken.push('gone')
  budget.onRoom(() => void woken.push('b'))
  budget.onRoom(gone)
  budget.cancel(gone)
  budget.give(60)
  t.deepEqual(woken, [])
  budget.give(60)
  t.deepEqual(woken, ['b'])
  t.is(budget.messages, 0)
})

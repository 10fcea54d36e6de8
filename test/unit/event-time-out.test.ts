import test from 'ava'
import { Delivery } from '../../runtime/dispatch/delivery.ts'
import { Unacknowledged } from '../../runtime/dispatch/unacknowledged.ts'
import { InFlight } from '../../runtime/workers/in-flight.ts'
import { FakeTimers } from '../support/fake-timers.ts'

const delivery = (id: number) => new Delivery(Buffer.alloc(64), id, '', 0, null, 0)

/** Times (in milliseconds from the start) at which the events with these tickets were late. */
function watch(isSequential: boolean) {
  const timers = new FakeTimers()
  const startMs = timers.now()
  const late: [ticket: number, atMs: number][] = []
  const inFlight: InFlight = new InFlight(
    20_000,
    (_, ticket) => {
      late.push([ticket, timers.now() - startMs])
      inFlight.remove(ticket)
      inFlight.rearm()
    },
    timers,
  )
  inFlight.isSequential = isSequential
  return { timers, inFlight, late }
}

test('20 s time-out of a concurrent worker fires 20 s after each event was given, whatever else is in flight', (t) => {
  const { timers, inFlight, late } = watch(false)
  inFlight.add(1, delivery(1))
  timers.pass(19_000)
  inFlight.add(2, delivery(2))
  inFlight.remove(1)
  timers.pass(500)
  inFlight.add(3, delivery(3))
  timers.pass(60_000)
  t.deepEqual(late, [
    [2, 39_000],
    [3, 39_500],
  ])
  t.is(timers.armed, 0)
})

test('20 s time-out of a sequential worker counts from when the event began, not from when it was given', (t) => {
  const { timers, inFlight, late } = watch(true)
  for (const ticket of [1, 2]) inFlight.add(ticket, delivery(ticket))
  timers.pass(15_000)
  inFlight.remove(1)
  timers.pass(60_000)
  t.deepEqual(late, [[2, 35_000]])
})

test('event that goes on (a part of its answer came) has its time anew', (t) => {
  const { timers, inFlight, late } = watch(false)
  for (const ticket of [1, 2]) inFlight.add(ticket, delivery(ticket))
  timers.pass(10_000)
  inFlight.touch(1)
  timers.pass(60_000)
  t.deepEqual(late, [
    [2, 20_000],
    [1, 30_000],
  ])
})

test('all events of a batch that runs are running when its worker ends, and no other', (t) => {
  const { inFlight } = watch(true)
  const [first, second, third] = [delivery(1), delivery(2), delivery(3)]
  first.batch = second.batch = 7
  third.batch = 8
  for (const [ticket, one] of [first, second, third].entries()) inFlight.add(ticket, one)
  t.deepEqual(inFlight.takeAll(), { running: [first, second], unstarted: [third] })
})

test('acknowledgement that does not come in time has failed exactly then, and no timer is armed while none is waited for', (t) => {
  const timers = new FakeTimers()
  const late: [id: number, atMs: number][] = []
  const startMs = timers.now()
  const waiting = new Unacknowledged(({ inboxId }) => late.push([inboxId, timers.now() - startMs]), timers)
  waiting.timeoutMs = 60_000
  const [first, second] = [delivery(1), delivery(2)]
  waiting.add(first, Buffer.alloc(0))
  timers.pass(50_000)
  waiting.add(second, Buffer.alloc(0))
  timers.pass(60_000)
  t.deepEqual(late, [
    [1, 60_000],
    [2, 110_000],
  ])
  t.is(timers.armed, 0)
  const third = delivery(3)
  waiting.add(third, Buffer.alloc(0))
  t.is(timers.armed, 1)
  t.truthy(waiting.take(third))
  t.is(timers.armed, 0)
})

test('no event may be started while 1,024 are unacknowledged or may become so, or 32 MiB of them', (t) => {
  const waiting = new Unacknowledged(() => {}, new FakeTimers())
  t.true(waiting.hasRoom(1_023))
  t.false(waiting.hasRoom(1_024))
  const one = delivery(1)
  waiting.add(one, Buffer.alloc(0))
  t.false(waiting.hasRoom(1_023))
  const large = delivery(2)
  large.addOperation(Buffer.alloc(20 * 1024 * 1024))
  waiting.add(large, Buffer.alloc(12 * 1024 * 1024))
  t.false(waiting.hasRoom(0))
  waiting.take(large)
  t.true(waiting.hasRoom(0))
})

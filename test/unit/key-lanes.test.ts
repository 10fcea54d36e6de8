import test from 'ava'
import fc from 'fast-check'
import { Delivery } from '../../runtime/dispatch/delivery.ts'
import { KeyLanes } from '../../runtime/dispatch/key-lanes.ts'

const delivery = (key: string, id: number) => new Delivery(Buffer.alloc(64), id, key, 0, null, 0)

test('event of a busy key waits, and becomes ready when the one before it is released', (t) => {
  const lanes = new KeyLanes()
  const [first, second] = [delivery('a', 1), delivery('a', 2)]
  lanes.push(first)
  lanes.push(second)
  t.is(lanes.take(), first)
  t.is(lanes.take(), undefined)
  lanes.release(first)
  t.is(lanes.take(), second)
  lanes.release(second)
  t.is(lanes.size, 0)
})

test('events without a key never wait for each other', (t) => {
  const lanes = new KeyLanes()
  const all = [1, 2, 3].map((id) => delivery('', id))
  for (const one of all) lanes.push(one)
  t.deepEqual([lanes.take(), lanes.take(), lanes.take()], all)
})

test('event that was put back is the next to be taken', (t) => {
  const lanes = new KeyLanes()
  const [first, second] = [delivery('a', 1), delivery('b', 2)]
  lanes.push(first)
  lanes.push(second)
  lanes.untake(lanes.take()!)
  t.is(lanes.take(), first)
})

test('every event is taken once and in the order of its key, whatever is released when', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(4), { maxLength: 200 }), fc.infiniteStream(fc.nat(2)), (keys, choices) => {
      const lanes = new KeyLanes()
      const taken: Delivery[] = []
      const running: Delivery[] = []
      const step = () => {
        if (choices.next().value === 0) {
          const next = lanes.take()
          if (!next) return
          if (running.some((other) => other.key === next.key)) throw new Error(`two events of key ${next.key} at once`)
          running.push(next)
          taken.push(next)
        } else if (running.length > 0) lanes.release(running.splice(choices.next().value % running.length, 1)[0]!)
      }
      for (const [id, key] of keys.entries()) {
        lanes.push(delivery(String(key), id + 1))
        step()
      }
      while (lanes.size > 0) step()
      for (const key of new Set(keys)) {
        const ids = taken.filter((one) => one.key === String(key)).map((one) => one.inboxId)
        if (ids.join() !== [...ids].sort((a, b) => a - b).join()) throw new Error(`key ${key} out of order: ${ids}`)
      }
      return taken.length === keys.length
    }),
  )
  t.pass()
})

test('run-ahead takes events in the order they came, also those of one key', (t) => {
  const lanes = new KeyLanes()
  lanes.isRunAhead = true
  const all = [delivery('a', 1), delivery('a', 2), delivery('b', 3)]
  for (const one of all) lanes.push(one)
  t.deepEqual([lanes.take(), lanes.take(), lanes.take()], all)
})

test('run-ahead holds the key of a failed event, and what was ahead of it comes after it', (t) => {
  const lanes = new KeyLanes()
  lanes.isRunAhead = true
  const [first, second, other, third] = [delivery('a', 1), delivery('a', 2), delivery('b', 3), delivery('a', 4)] as const
  for (const one of [first, second, other, third]) lanes.push(one)
  for (let i = 0; i < 3; i++) lanes.take()
  lanes.hold(first)
  lanes.putBack(second)
  lanes.release(other)
  t.is(lanes.take(), undefined)
  lanes.untake(first)
  t.is(lanes.take(), first)
  t.is(lanes.take(), undefined)
  lanes.release(first)
  t.deepEqual([lanes.take(), lanes.take()], [second, third])
})

test('lanes and run-ahead change into each other with events waiting and a key held', (t) => {
  const lanes = new KeyLanes()
  const all = [delivery('a', 1), delivery('a', 2), delivery('b', 3), delivery('a', 4)]
  for (const one of all) lanes.push(one)
  const failed = lanes.take()!
  lanes.hold(failed)
  lanes.isRunAhead = true
  t.is(lanes.take(), all[2])
  t.is(lanes.take(), undefined)
  lanes.release(all[2]!)
  lanes.isRunAhead = false
  t.is(lanes.take(), undefined)
  lanes.untake(failed)
  t.is(lanes.take(), failed)
  lanes.release(failed)
  t.is(lanes.take(), all[1])
  lanes.release(all[1]!)
  t.is(lanes.take(), all[3])
  lanes.release(all[3]!)
  t.is(lanes.size, 0)
})

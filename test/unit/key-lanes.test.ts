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
  lanes.way = 'runAhead'
  const all = [delivery('a', 1), delivery('a', 2), delivery('b', 3)]
  for (const one of all) lanes.push(one)
  t.deepEqual([lanes.take(), lanes.take(), lanes.take()], all)
})

test('run-ahead holds the key of a failed event, and what was ahead of it comes after it', (t) => {
  const lanes = new KeyLanes()
  lanes.way = 'runAhead'
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
  lanes.way = 'runAhead'
  t.is(lanes.take(), all[2])
  t.is(lanes.take(), undefined)
  lanes.release(all[2]!)
  lanes.way = 'lanes'
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

test('batches take events in the order they came, and a key that is at a worker waits until all of it has ended', (t) => {
  const lanes = new KeyLanes()
  lanes.way = 'batches'
  const [a1, b1, a2, a3, b2] = [delivery('a', 1), delivery('b', 2), delivery('a', 3), delivery('a', 4), delivery('b', 5)] as const
  for (const one of [a1, b1, a2]) lanes.push(one)
  const batch = [lanes.take()!, lanes.take()!, lanes.take()!]
  t.deepEqual(batch, [a1, b1, a2])
  for (const one of batch) lanes.given(one)
  for (const one of [a3, b2]) lanes.push(one)
  t.is(lanes.take(), undefined)
  lanes.release(a1)
  t.is(lanes.take(), undefined)
  lanes.release(b1)
  t.is(lanes.take(), b2)
  lanes.release(a2)
  t.is(lanes.take(), a3)
})

test('batches: an event that failed is tried again before what came with it and after it', (t) => {
  const lanes = new KeyLanes()
  lanes.way = 'batches'
  const [first, second, third] = [delivery('a', 1), delivery('a', 2), delivery('a', 3)] as const
  for (const one of [first, second, third]) lanes.push(one)
  for (const one of [lanes.take()!, lanes.take()!]) lanes.given(one)
  lanes.hold(first)
  lanes.putBack(second)
  t.is(lanes.take(), undefined)
  lanes.untake(first)
  t.is(lanes.take(), first)
  lanes.given(first)
  t.is(lanes.take(), undefined)
  lanes.release(first)
  t.deepEqual([lanes.take(), lanes.take()], [second, third])
})

test('batches: every event is given once, a key is never at two workers, and its order is kept', (t) => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { maxLength: 100 }), fc.infiniteStream(fc.nat(3)), (keys, choices) => {
      const lanes = new KeyLanes()
      lanes.way = 'batches'
      const ended: Delivery[] = []
      const running: Delivery[][] = []
      const step = () => {
        if (choices.next().value % 2 === 0) {
          const batch = [lanes.take(), lanes.take(), lanes.take()].filter((one) => one !== undefined)
          for (const one of batch) {
            if (running.flat().some((other) => other.key === one.key)) throw new Error(`key ${one.key} is in two batches`)
            lanes.given(one)
          }
          if (batch.length > 0) running.push(batch)
        } else if (running.length > 0) {
          const [batch] = running.splice(choices.next().value % running.length, 1)
          if (choices.next().value === 0) for (const one of batch!) lanes.putBack(one)
          else {
            for (const one of batch!) lanes.release(one)
            ended.push(...batch!)
          }
        }
      }
      for (const [id, key] of keys.entries()) {
        lanes.push(delivery(String(key), id + 1))
        step()
      }
      while (lanes.size > 0) step()
      for (const key of new Set(keys)) {
        const ids = ended.filter((one) => one.key === String(key)).map((one) => one.inboxId)
        if (ids.join() !== [...ids].sort((a, b) => a - b).join()) throw new Error(`key ${key} out of order: ${ids}`)
      }
      return ended.length === keys.length
    }),
  )
  t.pass()
})

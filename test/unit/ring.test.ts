import test from 'ava'
import fc from 'fast-check'
import { AT, Flag, Kind, recordSize } from '../../runtime/event/record.ts'
import { headerOf, RingPair, seen, type SeenRecord } from '../support/ring-pair.ts'

test('ring with one record hands over kind, ticket, status, head and body', (t) => {
  const pair = new RingPair()
  const got: SeenRecord[] = []
  pair.guest.onRecord = (view) => got.push(seen(view))
  t.true(pair.agent.write(headerOf({ ticket: 2 ** 40 + 7, status: 503 }), Buffer.from('head'), Buffer.from('body!')))
  t.is(pair.guest.poll(10), 1)
  t.deepEqual(got, [
    { kind: Kind.event, ticket: 2 ** 40 + 7, status: 503, attempt: 0, head: Buffer.from('head'), body: Buffer.from('body!') },
  ])
  pair.close()
})

test('ring with a stored record replaces its ticket and attempt and nothing else', (t) => {
  const pair = new RingPair()
  const record = Buffer.alloc(recordSize(3, 4))
  headerOf({ ticket: 1, status: 9 }).copy(record)
  record.writeUInt32LE(record.length, AT.size)
  record.writeUInt32LE(3, AT.headLength)
  record.writeUInt32LE(4, AT.bodyLength)
  record.write('abcWXYZ', 64)
  let got: SeenRecord | undefined
  pair.guest.onRecord = (view) => (got = seen(view))
  t.true(pair.agent.writeRecord(record, 2 ** 33 + 5, 3))
  pair.guest.poll(1)
  t.deepEqual(got, { kind: Kind.event, ticket: 2 ** 33 + 5, status: 9, attempt: 3, head: Buffer.from('abc'), body: Buffer.from('WXYZ') })
  pair.close()
})

test('ring that is full refuses a write and says when there is room', (t) => {
  const pair = new RingPair()
  let writable = 0
  pair.agent.onWritable = () => writable++
  let written = 0
  while (pair.agent.write(headerOf(), null, Buffer.alloc(500))) written++
  t.is(written, Math.floor(4096 / recordSize(0, 500)))
  pair.settle()
  t.is(writable, 0)
  pair.guest.poll(100)
  pair.settle()
  t.is(writable, 1)
  t.true(pair.agent.write(headerOf(), null, Buffer.alloc(500)))
  pair.close()
})

test('ring whose consumer sleeps rings once, whose consumer is awake never', (t) => {
  const pair = new RingPair()
  pair.guest.poll(1)
  pair.agent.write(headerOf(), null, null)
  t.false(pair.guestRung)
  pair.agent.flush()
  t.true(pair.guestRung)
  pair.guestRung = false
  pair.agent.write(headerOf(), null, null)
  pair.agent.flush()
  t.false(pair.guestRung)
  pair.close()
})

test('ring record carries no byte of an earlier record in its padding', (t) => {
  const pair = new RingPair()
  for (let i = 0; i < 40; i++) {
    pair.agent.write(headerOf(), null, Buffer.alloc(320, 0xff))
    pair.guest.poll(1)
  }
  const records: Buffer[] = []
  pair.guest.onRecord = (view) => records.push(view.record)
  for (let i = 0; i < 20; i++) {
    pair.agent.write(headerOf(), null, Buffer.alloc(257, 1))
    pair.guest.poll(1)
  }
  t.true(records.every((record) => record.subarray(64 + 257).every((byte) => byte === 0)))
  pair.close()
})

test('ring view copied as a record is whole after the ring was overwritten', (t) => {
  const pair = new RingPair()
  let copy: Buffer = Buffer.alloc(0)
  pair.guest.onRecord = (view) => (copy = view.record)
  pair.agent.write(headerOf({ kind: Kind.emit, ticket: 4 }), Buffer.from('hh'), Buffer.from('kept'))
  pair.guest.poll(1)
  new Uint8Array(pair.memory).fill(0xee)
  t.is(copy.readUInt32LE(AT.size), copy.length)
  t.is(copy.toString('latin1', 64, 70), 'hhkept')
  pair.close()
})

test('ring write of a body over the limit is refused before anything is written', (t) => {
  const pair = new RingPair()
  t.throws(() => pair.agent.write(headerOf(), null, new Uint8Array(64 * 1024 * 1024 + 1)), { code: 'record-too-large' })
  t.throws(() => pair.agent.write(headerOf(), new Uint8Array(4000), null), { code: 'record-too-large' })
  t.is(pair.guest.poll(10), 0)
  pair.close()
})

test('ring closed inside onRecord reads nothing more and does not throw', (t) => {
  const pair = new RingPair()
  let count = 0
  pair.guest.onRecord = () => {
    count++
    pair.guest.close()
  }
  pair.agent.write(headerOf(), null, null)
  pair.agent.write(headerOf(), null, null)
  pair.guest.poll(10)
  pair.guest.poll(10)
  t.is(count, 1)
  t.false(pair.guest.write(headerOf(), null, null))
  pair.close()
})

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('write' as const), head: fc.nat(120), body: fc.oneof(fc.nat(300), fc.nat(6000)) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('poll' as const), max: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'settle' as const }) },
)

test('ring under any interleaving of writes and reads hands over every record once, whole and in order', (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const pair = new RingPair()
      const sent: string[] = []
      const got: string[] = []
      pair.guest.onRecord = (view) => got.push(`${view.ticket} ${view.head.toString('hex')} ${view.body.toString('hex')}`)
      let refused = 0
      let writable = 0
      pair.agent.onWritable = () => writable++
      let ticket = 0
      for (const each of steps) {
        if (each.do === 'write') {
          ticket++
          const head = Buffer.alloc(each.head, ticket)
          const body = Buffer.alloc(each.body, ticket + 1)
          if (pair.agent.write(headerOf({ ticket }), head, body)) sent.push(`${ticket} ${head.toString('hex')} ${body.toString('hex')}`)
          else refused++
          pair.agent.flush()
        } else if (each.do === 'poll') pair.guest.poll(each.max)
        else pair.settle()
      }
      while (pair.guest.poll(16) > 0);
      pair.settle()
      pair.close()
      t.deepEqual(got, sent)
      return refused === 0 || writable > 0
    }),
    { numRuns: 300 },
  )
})

test('ring whose indices pass 2^32 goes on', (t) => {
  const pair = new RingPair(4096, 2 ** 32 - 8192)
  const got: number[] = []
  pair.guest.onRecord = (view) => got.push(view.ticket)
  for (let ticket = 1; ticket <= 200; ticket++) {
    t.true(pair.agent.write(headerOf({ ticket }), null, Buffer.alloc(200)))
    if (ticket % 7 === 0) pair.guest.poll(100)
  }
  pair.guest.poll(100)
  t.is(got.length, 200)
  t.is(new Int32Array(pair.memory)[pair.layout.toGuest.consumer]! >>> 16, 0)
  pair.close()
})

const attack = fc.record({
  at: fc.oneof(
    fc.nat(4096 + 2 * 4096 - 4),
    fc.constantFrom(128, 256, 384, 512, 640, 768, 896, 1024),
    fc.nat(200).map((n) => 8192 + n),
  ),
  value: fc.oneof(fc.integer(), fc.nat(5000), fc.constantFrom(0, 64, 72, -8, 0x7fff_fff8)),
})

test('ring with a hostile peer never throws and ends in valid records or onBroken once', (t) => {
  fc.assert(
    fc.property(fc.array(attack, { minLength: 1, maxLength: 30 }), fc.array(fc.nat(900), { maxLength: 12 }), (attacks, bodies) => {
      const pair = new RingPair()
      let broken = 0
      pair.agent.onBroken = () => broken++
      pair.agent.onRecord = (view) => {
        t.true(view.size <= 4096 + 16 && view.head.length === view.headLength && view.body.length === view.bodyLength)
        const { record } = view
        t.is(record.readUInt32LE(AT.size), record.length)
        t.true(64 + view.headLength + view.bodyLength <= record.length)
        t.is(record[AT.flags]! & Flag.externalBody, 0)
      }
      const words = new Int32Array(pair.memory)
      for (const length of bodies) pair.guest.write(headerOf({ kind: Kind.result }), null, Buffer.alloc(length))
      for (const { at, value } of attacks) {
        words[at >>> 2] = value
        pair.agent.poll(4)
        pair.agent.write(headerOf(), null, Buffer.alloc(64))
        pair.agent.flush()
        pair.agent.wake()
      }
      pair.close()
      return broken <= 1
    }),
    { numRuns: 500 },
  )
})

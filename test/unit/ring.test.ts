import test from 'ava'
import fc from 'fast-check'
import { AT, Flag, Kind, recordSize } from '../../runtime/event/record.ts'
import { RingRecordView } from '../../runtime/shared-memory/record-view.ts'
import { RingReader } from '../../runtime/shared-memory/ring-reader.ts'
import { RingWriter } from '../../runtime/shared-memory/ring-writer.ts'
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
  const { dataAt } = pair.layout.toGuest
  new Uint8Array(pair.memory, dataAt, 4096).fill(0xff)
  pair.agent.write(headerOf(), Buffer.alloc(1, 1), Buffer.alloc(256, 1))
  t.deepEqual(Buffer.from(pair.memory, dataAt + 64 + 257, 7), Buffer.alloc(7))
  const record = Buffer.alloc(recordSize(0, 3))
  headerOf().copy(record)
  pair.agent.writeRecord(record.subarray(0, 67), 1, 1)
  t.deepEqual(Buffer.from(pair.memory, dataAt + 328 + 67, 5), Buffer.alloc(5))
  pair.close()
})

test('ring view copies a record with the numbers that were checked, whatever the peer writes meanwhile', (t) => {
  const pair = new RingPair()
  let copy: Buffer = Buffer.alloc(0)
  pair.guest.onRecord = (view) => {
    Buffer.from(pair.memory, pair.layout.toGuest.dataAt, 64).fill(0xee)
    copy = view.record
  }
  pair.agent.write(headerOf({ kind: Kind.emit, ticket: 4 }), Buffer.from('hh'), Buffer.from('kept'))
  pair.guest.poll(1)
  t.is(copy.length, 72)
  t.is(copy.readUInt32LE(AT.size), 72)
  t.is(copy[AT.kind], Kind.emit)
  t.is(copy[AT.flags], 0)
  t.is(copy.readUInt32LE(AT.headLength), 2)
  t.is(copy.readUInt32LE(AT.bodyLength), 4)
  t.is(copy.toString('latin1', 64, 70), 'hhkept')
  pair.close()
})

test('ring consumer that is about to sleep sees what came after it looked', (t) => {
  const { memory, layout } = new RingPair()
  const reader = new RingReader(memory, layout.toGuest)
  const writer = new RingWriter(memory, layout.toGuest)
  const words = new Int32Array(memory)
  t.true(reader.isEmpty)
  writer.write(headerOf(), null, null)
  t.false(reader.sleep())
  t.is(words[layout.toGuest.sleeping], 0)
  t.true(reader.next(new RingRecordView()))
  t.true(reader.sleep())
  t.is(words[layout.toGuest.sleeping], 1)
})

test('ring consumer that was rung without need asks for the next doorbell again', (t) => {
  const pair = new RingPair()
  const { sleeping } = pair.layout.toGuest
  const words = new Int32Array(pair.memory)
  pair.guest.poll(1)
  // The producer cleared the flag for a record that the consumer had found already.
  words[sleeping] = 0
  pair.guest.wake()
  t.is(words[sleeping], 1)
  pair.close()
})

test('ring whose guest has answered and not yet rung is looked at by an agent that waits for the answer', async (t) => {
  const pair = new RingPair()
  const answered = new Promise<number>((resolve) => (pair.agent.onRecord = (view) => resolve(view.ticket)))
  pair.agent.write(headerOf({ ticket: 5 }), null, null)
  pair.agent.flush()
  pair.guest.write(headerOf({ kind: Kind.result, ticket: 5 }), null, null)
  // The look does not keep a process alive; here something must.
  const alive = setInterval(() => {}, 1000)
  t.is(await answered, 5)
  clearInterval(alive)
  pair.close()
})

const forged: Record<string, (words: Int32Array, word: number, end: number) => number> = {
  'a size beyond the end of the ring': (words, word, end) => {
    words[word] = end + 8
    return end + 8
  },
  'a size beyond what was written': (words, word) => {
    words[word] = 128
    return 64
  },
  'a size under a header': (words, word) => {
    words[word] = 56
    return 64
  },
  'a size that is not a multiple of 8': (words, word) => {
    words[word] = 68
    return 72
  },
  'parts longer than the record': (words, word) => {
    words[word] = 64
    words[word + 5] = 1
    return 64
  },
  'parts whose sum overflows': (words, word) => {
    words[word] = 64
    words[word + 4] = -8
    words[word + 5] = 8
    return 64
  },
  'a wrap mark short of the end': (words, word) => {
    words[word] = 64
    words[word + 1] = 0
    return 64
  },
  'a ticket over 2^53': (words, word) => {
    words[word] = 64
    words[word + 3] = 0x20_0000
    return 64
  },
  'an index that is not a multiple of 8': () => 4,
  'an index more than a ring ahead': () => 4104,
}

for (const [what, forge] of Object.entries(forged)) {
  test(`ring with ${what} breaks before it is read`, (t) => {
    const pair = new RingPair()
    const { producer, dataAt } = pair.layout.toAgent
    const errors: string[] = []
    let count = 0
    pair.agent.onBroken = (error) => errors.push(error.code)
    pair.agent.onRecord = () => count++
    for (let i = 0; i < 5; i++) {
      pair.guest.write(headerOf({ kind: Kind.result }), null, Buffer.alloc(700))
      pair.agent.poll(1)
    }
    const words = new Int32Array(pair.memory)
    const index = words[producer]!
    const word = (dataAt + index) >>> 2
    words.fill(0, word, word + 16)
    words[word + 1] = Kind.result
    words[producer] = index + forge(words, word, 4096 - index)
    pair.agent.poll(10)
    t.is(count, 5)
    t.deepEqual(errors, ['ring-record'])
    pair.close()
  })
}

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

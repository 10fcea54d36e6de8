import test from 'ava'
import fc from 'fast-check'
import { InboundIds } from '../../adapters/broker/inbound-ids.ts'
import { Acknowledger } from '../../adapters/triggers/mqtt-acknowledger.ts'
import { Copies } from '../../adapters/triggers/mqtt-copies.ts'
import { Frames } from '../../adapters/triggers/mqtt-frames.ts'
import { readPublish, type PublishPacket } from '../../adapters/triggers/mqtt-publish-packet.ts'
import { planSubscriptions } from '../../adapters/triggers/mqtt-subscriptions.ts'
import { filtersOverlap } from '../../config/topic-filter.ts'

const message = (given: Partial<PublishPacket>): PublishPacket => ({
  topic: 'a/b',
  payload: Buffer.from('x'),
  qos: 1,
  retain: false,
  dup: false,
  messageId: 1,
  properties: { user: [], subscriptionIds: [] },
  ...given,
})

function frame(first: number, body: Buffer): Buffer {
  const length: number[] = []
  for (let rest = body.length; ; rest >>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest)
    if (rest <= 127) break
  }
  return Buffer.concat([Buffer.from([first, ...length]), body])
}

test('packets come out whole however the stream is cut, and of one that is too large only its beginning', (t) => {
  const bodies = [0, 1, 127, 128, 20_000, 200_000].map((size, index) => Buffer.alloc(size, index))
  const stream = Buffer.concat(bodies.map((body) => frame(0x30, body)))
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 30 }), (cuts) => {
      const got: number[] = []
      const tooLarge: number[] = []
      const frames = new Frames(100_000, {
        frame: ({ bytes, bodyAt }) => got.push(bytes.length - bodyAt),
        tooLarge: (_frame, bytes) => tooLarge.push(bytes),
      })
      let at = 0
      for (let i = 0; at < stream.length; at += cuts[i++ % cuts.length]!) frames.push(stream.subarray(at, at + cuts[i % cuts.length]!))
      return String(got) === '0,1,127,128,20000' && String(tooLarge) === '200004'
    }),
  )
  t.pass()
})

test('a PUBLISH that lies about its lengths is refused, whatever its bytes', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 60 }),
      fc.constantFrom(4 as const, 5 as const),
      fc.integer({ min: 0x30, max: 0x3f }),
      (bytes, version, first) => {
        try {
          const { topic, payload } = readPublish(first, Buffer.from(bytes), version)
          return topic !== '' && payload.length <= bytes.length
        } catch (error) {
          return (error as { code?: string }).code === 'mqtt-malformed'
        }
      },
    ),
  )
  t.pass()
})

test('acknowledgements go out in the order of the messages, whichever is committed first, and none after a failure', async (t) => {
  const commits: ((error: Error | null) => void)[] = []
  const written: string[] = []
  const acknowledger = new Acknowledger({
    clientId: 'c',
    ids: new InboundIds(),
    messagesMax: 10,
    take: (_packet, done) => commits.push(done),
    write: (acks) => written.push(acks.toString('hex')),
    failed: () => written.push('failed'),
    settled: () => {},
  })
  for (const [index, qos] of ([1, 2, 1, 1, 1] as const).entries()) acknowledger.publish(message({ qos, messageId: index + 1 }))
  commits[2]!(null)
  commits[1]!(null)
  acknowledger.flush()
  t.deepEqual(written, [])
  commits[0]!(null)
  acknowledger.flush()
  t.deepEqual(written, ['400200015002000240020003'])
  // The QoS 2 message comes again: acknowledged, not taken again.
  acknowledger.publish(message({ qos: 2, messageId: 2, dup: true }))
  t.is(commits.length, 5)
  commits[4]!(null)
  commits[3]!(new Error('full'))
  acknowledger.release(2)
  await Promise.resolve()
  t.deepEqual(written, ['400200015002000240020003', 'failed'])
})

test('filters that are covered are not asked for, those that overlap in part get ids, shared ones stand alone', (t) => {
  const plan = planSubscriptions([
    { topic: 'a/#', qos: 1 },
    { topic: 'a/b', qos: 1 },
    { topic: 'a/c', qos: 2 },
    { topic: '+/d', qos: 1 },
    { topic: 'e', qos: 0 },
    { topic: 'e', qos: 1 },
    { topic: '$share/g/a/b', qos: 1 },
  ])
  t.deepEqual(
    plan.map(({ topic, qos, id }) => [topic, qos, id !== null]),
    [
      ['a/#', 1, true],
      ['a/c', 2, true],
      ['+/d', 1, true],
      ['e', 1, false],
      ['$share/g/a/b', 1, false],
    ],
  )
  t.is(
    planSubscriptions([
      { topic: '+/d', qos: 1 },
      { topic: 'x/+', qos: 0 },
    ])[0]!.id,
    plan[2]!.id,
  )
})

test('filters overlap when a topic matches both', (t) => {
  for (const [one, other] of [
    ['a/+', '+/b'],
    ['a/#', 'a'],
    ['#', 'x'],
    ['a/b', 'a/b'],
    ['a/+/c', 'a/b/#'],
  ])
    t.true(filtersOverlap(one!, other!))
  for (const [one, other] of [
    ['a', 'b'],
    ['a/+', 'a'],
    ['#', '$SYS/x'],
    ['a/b/c', 'a/+'],
    ['+/x', 'a/y'],
  ])
    t.false(filtersOverlap(one!, other!))
})

test('of the copies of a message one is taken, in whatever order they come, and messages that are alike stay as many as they are', (t) => {
  const plan = planSubscriptions([
    { topic: 'a/+', qos: 1 },
    { topic: '+/b', qos: 1 },
  ])
  const [first, second] = plan.map(({ id }) => id!)
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.infiniteStream(fc.boolean()), (times, pick) => {
      const copies = new Copies(plan)
      const left = [times, times]
      let taken = 0
      for (const isFirst of pick) {
        const at = isFirst ? 0 : 1
        if (left[0] === 0 && left[1] === 0) break
        if (left[at]! === 0) continue
        left[at]!--
        const subscriptionIds = [isFirst ? first! : second!]
        if (!copies.isCopy(message({ properties: { user: [], subscriptionIds } }))) taken++
      }
      return taken === times
    }),
  )
  const copies = new Copies(plan)
  t.false(copies.isCopy(message({ properties: { user: [], subscriptionIds: [first!, second!] } })))
  t.false(copies.isCopy(message({ properties: { user: [], subscriptionIds: [] } })))
})

import test from 'ava'
import fc from 'fast-check'
import { FrameGuard } from '../../adapters/broker/frame-guard.ts'
import { number, packet, RawMqtt } from '../support/raw-mqtt.ts'

const limits = { connectBytesMax: 100, packetBytesMax: 1000 }
const connect = RawMqtt.connect({ id: 'a' })

function guard(): { guard: FrameGuard; packets: string[] } {
  const packets: string[] = []
  return { guard: new FrameGuard(limits, (bytes) => packets.push(bytes.toString('hex')) > 0), packets }
}

test('packets come out whole however the bytes are cut', (t) => {
  const stream = [
    connect,
    RawMqtt.publish('a/b', 'x'.repeat(300), { qos: 1, id: 3 }),
    RawMqtt.pingreq,
    RawMqtt.subscribe(1, ['a', 0]),
    RawMqtt.pubrel(2),
    RawMqtt.disconnect,
  ]
  const bytes = Buffer.concat(stream)
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: bytes.length }), { maxLength: 40 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      const { guard: g, packets } = guard()
      for (let i = 1; i < at.length; i++) g.push(bytes.subarray(at[i - 1], at[i]))
      t.deepEqual(
        packets,
        stream.map((p) => p.toString('hex')),
      )
      t.false(g.isInside)
    }),
    { seed: 20261124, numRuns: 300 },
  )
})

test('a header that is not allowed is refused before its body comes', (t) => {
  const first: [name: string, bytes: number[], code: string][] = [
    ['PUBLISH before CONNECT', [0x30], 'malformed-packet'],
    ['garbage', [0x47], 'malformed-packet'],
    ['CONNECT with flags', [0x11], 'malformed-packet'],
    ['CONNECT too long', [0x10, 101], 'packet-too-large'],
    ['CONNECT too long, by its second byte', [0x10, 0xff, 0x01], 'packet-too-large'],
    ['CONNECT too long, known before its length ends', [0x10, 0xff], 'packet-too-large'],
  ]
  for (const [name, bytes, code] of first) t.throws(() => guard().guard.push(Buffer.from(bytes)), { code }, name)
  const later: typeof first = [
    ['second CONNECT', [0x10], 'malformed-packet'],
    ['QoS 3', [0x36], 'malformed-packet'],
    ['DUP at QoS 0', [0x38], 'malformed-packet'],
    ['SUBSCRIBE without its flag', [0x80], 'malformed-packet'],
    ['PUBREL without its flag', [0x60], 'malformed-packet'],
    ['PINGREQ with flags', [0xc1], 'malformed-packet'],
    ['type 0', [0x00], 'malformed-packet'],
    ['type 15', [0xf0], 'malformed-packet'],
    ['CONNACK from a client', [0x20], 'malformed-packet'],
    ['a length of five bytes', [0x30, 0x80, 0x80, 0x80, 0x80], 'malformed-packet'],
    ['PUBLISH too long', [0x30, 0xe9, 0x07], 'packet-too-large'],
  ]
  for (const [name, bytes, code] of later) {
    const { guard: g } = guard()
    g.push(connect)
    t.throws(() => g.push(Buffer.from(bytes)), { code }, name)
    const { guard: dripped } = guard()
    dripped.push(connect)
    t.throws(() => bytes.forEach((byte) => dripped.push(Buffer.from([byte]))), { code }, `${name}, byte by byte`)
  }
})

test('packets of exactly the limits pass', (t) => {
  const { guard: g, packets } = guard()
  g.push(packet(0x10, Buffer.alloc(100)))
  g.push(packet(0x30, Buffer.alloc(1000)))
  t.is(packets.length, 2)
})

test('bytes after a packet that stops the guard are held until it resumes', (t) => {
  const seen: number[] = []
  const g: FrameGuard = new FrameGuard(limits, (bytes) => seen.push(bytes[0]! >> 4) > 1)
  g.push(Buffer.concat([connect, RawMqtt.pingreq, Buffer.from([0x40])]))
  g.push(Buffer.concat([Buffer.from([2]), number(1)]))
  t.deepEqual(seen, [1])
  g.resume()
  t.deepEqual(seen, [1, 12, 4])
})

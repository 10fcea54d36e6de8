import { fork } from 'node:child_process'
import { once } from 'node:events'
import { connect as connectSocket } from 'node:net'
import test from 'ava'
import type { BrokerStats } from '../../adapters/broker/contract.ts'
import { brokerConfig, withBroker } from '../support/broker.ts'
import { number, packet, RawMqtt, text } from '../support/raw-mqtt.ts'

test('a client that sends nothing, or half a CONNECT, is closed in time', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { connectTimeoutMs: 50 }) }, async ({ broker, client }) => {
    const silent = await client({ connect: false })
    const half = await client({ connect: false })
    half.send(RawMqtt.connect({ id: 'half' }).subarray(0, 9))
    await Promise.all([silent.closed, half.closed])
    t.is(broker.stats().counters.connectTimeouts, 2)
    const good = await client()
    t.deepEqual(await good.settle(), [])
  })
})

test('100 MB before CONNECT over five connections is refused at the first header', async (t) => {
  const child = fork(new URL('../support/broker-child.ts', import.meta.url))
  t.teardown(() => child.kill())
  const ask = async <T>(): Promise<T> => ((await once(child, 'message')) as [T])[0]
  const measure = () => {
    child.send('measure')
    return ask<BrokerStats & { rss: number }>()
  }
  const { port } = await ask<{ port: number }>()
  const before = await measure()
  const chunk = Buffer.alloc(1024 * 1024)
  const headers = [
    Buffer.from([0x30, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from('GET / HTTP/1.1\r\n'),
    Buffer.from([0x82, 0xff, 0xff, 0xff, 0x7f]),
  ]
  await Promise.all(
    headers.map(async (header) => {
      const socket = connectSocket(port, '127.0.0.1')
      socket.on('error', () => {})
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.write(header)
      for (let mb = 0; mb < 100 && !socket.destroyed; mb++) {
        if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed])
      }
      await closed
    }),
  )
  const after = await measure()
  t.is(after.counters.malformed + after.counters.oversized, 5)
  const grownMb = (after.rss - before.rss) / 1024 / 1024
  t.true(grownMb <= 16, `RSS grew ${grownMb.toFixed(1)} MB`)
})

test('packets against the MQTT rules close the client, and only that one', async (t) => {
  const broken: [name: string, bytes: Buffer][] = [
    ['second CONNECT', RawMqtt.connect({ id: 'x' })],
    ['PUBLISH over the limit', Buffer.from([0x30, 0x81, 0x80, 0x10])],
    ['PUBLISH with message id 0', RawMqtt.publish('a', '', { qos: 1, id: 0 })],
    ['PUBLISH to an empty topic', RawMqtt.publish('', '')],
    ['PUBLISH to a wildcard', RawMqtt.publish('a/+', '')],
    ['PUBLISH with NUL in the topic', RawMqtt.publish('a\0b', '')],
    ['PUBLISH whose topic is not UTF-8', packet(0x30, Buffer.from([0, 3, 0xed, 0xa0, 0x80]))],
    ['PUBLISH shorter than its topic', packet(0x30, Buffer.from([0, 9, 97]))],
    ['PUBLISH of one byte', packet(0x30, Buffer.from([0]))],
    ['QoS 3', packet(0x36, text('a'))],
    ['SUBSCRIBE without filters', packet(0x82, number(1))],
    ['SUBSCRIBE with message id 0', RawMqtt.subscribe(0, ['a', 0])],
    ['SUBSCRIBE with QoS 3', RawMqtt.subscribe(1, ['a', 3])],
    ['SUBSCRIBE with # inside', RawMqtt.subscribe(1, ['a/#/b', 0])],
    ['SUBSCRIBE with + beside letters', RawMqtt.subscribe(1, ['a+', 0])],
    ['SUBSCRIBE cut off', packet(0x82, Buffer.concat([number(1), text('a')]))],
    ['UNSUBSCRIBE without its flag', packet(0xa0, Buffer.concat([number(1), text('a')]))],
    ['PUBACK of three bytes', packet(0x40, Buffer.from([0, 1, 0]))],
    ['PINGREQ with a body', packet(0xc0, Buffer.from([1]))],
    ['CONNACK from a client', packet(0x20, Buffer.from([0, 0]))],
    ['AUTH', packet(0xf0, Buffer.alloc(0))],
  ]
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    const bystander = await client({ id: 'bystander' })
    for (const [name, bytes] of broken) {
      const raw = await client()
      raw.send(bytes, RawMqtt.pingreq)
      await raw.closed
      t.deepEqual(raw.packets, [], name)
    }
    t.deepEqual(await bystander.settle(), [])
    t.is(broker.stats().counters.malformed + broker.stats().counters.oversized, broken.length)
    t.deepEqual(ingest.messages, [])
  })
})

test('CONNECTs against the MQTT rules are closed without an answer', async (t) => {
  const head = (flags: number, ...rest: Buffer[]) => packet(0x10, Buffer.concat([text('MQTT'), Buffer.from([4, flags, 0, 60]), ...rest]))
  const broken: [name: string, bytes: Buffer][] = [
    ['other protocol', packet(0x10, Buffer.concat([text('HTTP'), Buffer.from([4, 2, 0, 60]), text('a')]))],
    ['reserved flag', head(0x03, text('a'))],
    ['will QoS 3', head(0x1e, text('a'), text('t'), text('p'))],
    ['will flags without a will', head(0x22, text('a'))],
    ['password without a user', head(0x42, text('a'), text('p'))],
    ['NUL in the client id', head(0x02, text('a\0'))],
    ['client id that is not UTF-8', head(0x02, Buffer.from([0, 1, 0xff]))],
    ['will to a wildcard', head(0x06, text('a'), text('t/#'), text('p'))],
    ['bytes after the end', head(0x02, text('a'), text('b'))],
    ['cut off', head(0x82, text('a'))],
    ['nothing', packet(0x10, Buffer.alloc(0))],
    ['too long', head(0x02, text('x'.repeat(5000)))],
  ]
  await withBroker(t, {}, async ({ client }) => {
    for (const [name, bytes] of broken) {
      const raw = await client({ connect: false })
      raw.send(bytes)
      await raw.closed
      t.deepEqual(raw.packets, [], name)
    }
  })
})

test('other protocol levels are answered and closed', async (t) => {
  await withBroker(t, {}, async ({ client }) => {
    for (const [level, answer] of [
      [5, [0, 0x84, 0]],
      [6, [0, 1]],
      [0, [0, 1]],
    ] as const) {
      const raw = await client({ connect: false })
      raw.send(RawMqtt.connect({ id: 'a', level }))
      t.deepEqual([...(await raw.next()).body], [...answer])
      await raw.closed
    }
  })
})

test.serial('2,000 mutated streams leave the broker serving others', async (t) => {
  const seed = 20261124
  t.log(`seed ${seed}`)
  const random = randomFrom(seed)
  const pick = (max: number) => Math.floor(random() * max)
  const valid = [
    RawMqtt.connect({ id: 'm', clean: false, username: 'u', password: 'p', will: { topic: 'w', payload: 'x', qos: 2 } }),
    RawMqtt.connect({ id: 'n' }),
    RawMqtt.publish('a/b', 'payload', { qos: 0 }),
    RawMqtt.publish('a/b', 'payload', { qos: 1, id: 1, retain: true }),
    RawMqtt.publish('a/b', 'payload', { qos: 2, id: 2 }),
    RawMqtt.subscribe(3, ['a/#', 1], ['+/b', 2]),
    packet(0xa2, Buffer.concat([number(4), text('a/#')])),
    RawMqtt.pubrel(2),
    RawMqtt.puback(5),
    packet(0x50, number(6)),
    packet(0x70, number(7)),
    RawMqtt.pingreq,
    RawMqtt.disconnect,
  ]
  const mutated = () => {
    const bytes = Buffer.concat([valid[pick(2)]!, ...Array.from({ length: 1 + pick(6) }, () => valid[pick(valid.length)]!)])
    for (let flips = pick(6); flips > 0; flips--) bytes[pick(bytes.length)] = pick(256)
    return pick(4) === 0 ? bytes.subarray(0, pick(bytes.length)) : bytes
  }
  await withBroker(t, { config: brokerConfig({ allowAnonymous: true }, { connectTimeoutMs: 1000 }) }, async ({ broker, client }) => {
    const bystander = await client({ id: 'bystander' })
    for (let round = 0; round < 100; round++) {
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const raw = await client({ connect: false })
          raw.socket.end(mutated())
          await raw.closed
        }),
      )
      t.true((await bystander.settle()).every(({ type }) => type !== 2))
    }
    t.is(broker.stats().connections, 1)
    t.is(broker.stats().inFlight, 0)
  })
})

test('connections over the cap are refused and counted', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { connectionsMax: 3 }) }, async ({ broker, client }) => {
    await Promise.all([client(), client(), client()])
    const fourth = await client({ connect: false })
    await fourth.closed
    t.is(broker.stats().counters.connectionsRefused, 1)
    t.true(broker.disconnect('client-1', 'room for another'))
  })
})

test('a subscriber that does not read holds up nobody and costs no more than its limit', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { queuedBytesPerClientMax: 100_000 }) }, async ({ broker, ingest, client }) => {
    const stuck = await client({ id: 'stuck' })
    stuck.send(RawMqtt.subscribe(1, ['a', 1]))
    await stuck.next()
    stuck.socket.pause()
    const sensor = await client({ id: 'sensor' })
    const payload = 'x'.repeat(20_000)
    for (let id = 1; id <= 1000; id++) sensor.send(RawMqtt.publish('a', payload, { qos: 1, id }))
    for (let id = 1; id <= 1000; id++) t.is((await sensor.next()).type, 4)
    t.is(ingest.messages.length, 1000)
    t.true(broker.stats().counters.slowDropped > 300, 'what the stuck one cannot take is dropped and counted')
  })
})

function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = state
    x = Math.imul(x ^ (x >>> 15), x | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

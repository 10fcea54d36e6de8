import test from 'ava'
import { brokerConfig, withBroker } from '../support/broker.ts'
import { packet, published, RawMqtt, text } from '../support/raw-mqtt.ts'

test('a retained message comes to a later subscriber and an empty one clears it', async (t) => {
  await withBroker(t, {}, async ({ broker, client }) => {
    const sensor = await client()
    sensor.send(RawMqtt.publish('a/b', 'last', { qos: 1, id: 1, retain: true }), RawMqtt.publish('a/c', 'other', { retain: true }))
    await sensor.next()
    const reader = await client()
    reader.send(RawMqtt.subscribe(1, ['a/#', 1], ['+/b', 0]))
    t.is((await reader.next()).type, 9)
    const found = [published(await reader.next()), published(await reader.next())]
    t.deepEqual(found.map(({ topic, payload, retain }) => `${topic} ${payload} ${retain}`).sort(), ['a/b last true', 'a/c other true'])
    t.deepEqual(await reader.settle(), [], 'once each, though two filters match')
    sensor.send(RawMqtt.publish('a/b', '', { qos: 1, id: 2, retain: true }))
    await sensor.next()
    t.is(broker.stats().retained, 1)
  })
})

test('retained messages over the limits are refused, delivered live, and counted', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { retainedMax: 2, retainedBytesMax: 30 }) }, async ({ broker, client }) => {
    const sensor = await client()
    const retain = (topic: string, payload: string) => sensor.send(RawMqtt.publish(topic, payload, { retain: true }))
    retain('a', '1')
    retain('b', '1')
    retain('c', '1')
    retain('a', '2')
    retain('b', 'x'.repeat(40))
    await sensor.settle()
    const { retained, retainedBytes, counters } = broker.stats()
    t.deepEqual([retained, retainedBytes, counters.retainedRefused], [2, 4, 2])
  })
})

test('a persistent session keeps QoS 1 messages while its client is away, and sends them again until acknowledged', async (t) => {
  await withBroker(t, {}, async ({ broker, client }) => {
    const first = await client({ id: 'display', clean: false })
    first.send(RawMqtt.subscribe(1, ['a/#', 1], ['b', 0]))
    await first.next()
    first.send(RawMqtt.disconnect)
    await first.closed
    await broker.publish('a/1', 'one', { qos: 1 })
    await broker.publish('a/2', 'two', { qos: 2 })
    await broker.publish('a/3', 'zero', { qos: 0 })
    await broker.publish('b', 'not kept', { qos: 1 })
    t.is(broker.stats().queued, 2)

    const second = await client({ id: 'display', clean: false, connect: false })
    second.send(RawMqtt.connect({ id: 'display', clean: false }))
    t.deepEqual([...(await second.next()).body], [1, 0], 'session present')
    const [one, two] = [published(await second.next()), published(await second.next())]
    t.deepEqual([one.payload, one.qos, one.dup, two.payload, two.qos, two.dup], ['one', 1, false, 'two', 1, false])
    second.send(RawMqtt.puback(one.id))
    await second.settle()
    second.destroy()

    const third = await client({ id: 'display', clean: false })
    const again = published(await third.next())
    t.deepEqual([again.payload, again.id, again.dup], ['two', two.id, true])
    third.send(RawMqtt.puback(again.id))
    t.deepEqual(await third.settle(), [])
    t.is(broker.stats().queued, 0)
    await broker.publish('a/1', 'live', { qos: 1 })
    t.is(published(await third.next()).payload, 'live')
    third.send(RawMqtt.disconnect)
    await third.closed
    await client({ id: 'display', clean: true })
    t.is(broker.stats().sessions, 0)
  })
})

test('messages of different QoS and retained ones reach a subscriber without one being lost', async (t) => {
  await withBroker(t, {}, async ({ broker, client }) => {
    const reader = await client({ id: 'reader' })
    reader.send(RawMqtt.subscribe(1, ['#', 1]))
    await reader.next()
    for (let n = 0; n < 100; n++) void broker.publish('a', `${n}`, { qos: n % 2 === 0 ? 1 : 0, retain: n % 3 === 0 })
    const payloads = []
    for (let n = 0; n < 100; n++) payloads.push(published(await reader.next()).payload)
    t.deepEqual(
      payloads,
      Array.from({ length: 100 }, (_, n) => `${n}`),
    )
  })
})

test('an offline queue over its limit refuses the newest and counts it', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { queuedPerClientMax: 3 }) }, async ({ broker, client }) => {
    const away = await client({ id: 'away', clean: false })
    away.send(RawMqtt.subscribe(1, ['a', 1]))
    await away.next()
    away.destroy()
    await away.closed
    for (let n = 0; n < 5; n++) await broker.publish('a', `${n}`, { qos: 1 })
    t.is(broker.stats().queued, 3)
    t.is(broker.stats().counters.queueDropped, 2)
    const back = await client({ id: 'away', clean: false })
    t.deepEqual(
      [published(await back.next()).payload, published(await back.next()).payload, published(await back.next()).payload],
      ['0', '1', '2'],
    )
  })
})

test('sessions over the limit are refused with return code 3', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { sessionsMax: 2 }) }, async ({ broker, client }) => {
    for (const id of ['a', 'b', 'c']) {
      const raw = await client({ connect: false })
      raw.send(RawMqtt.connect({ id, clean: false }))
      t.deepEqual([...(await raw.next()).body], [0, id === 'c' ? 3 : 0])
    }
    t.is(broker.stats().sessions, 2)
  })
})

test('subscriptions over the limit, too deep, shared or of the broker get SUBACK 0x80', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { subscriptionsPerClientMax: 3, topicLevelsMax: 4 }) }, async ({ broker, client }) => {
    for (const clean of [true, false]) {
      const reader = await client({ id: `reader-${clean}`, clean })
      reader.send(
        RawMqtt.subscribe(1, ['$SYS/#', 0], ['$share/g/a', 0], ['a/b/c/d/e', 0], ['dunlin/x', 1], ['a', 1], ['b', 1], ['c', 0], ['d', 0]),
      )
      t.deepEqual([...(await reader.next()).body.subarray(2)], [0x80, 0x80, 0x80, 0x80, 1, 1, 0, 0x80])
      reader.send(packet(0xa2, Buffer.concat([Buffer.from([0, 2]), text('b')])))
      t.is((await reader.next()).type, 11)
      reader.send(RawMqtt.subscribe(3, ['d', 0], ['e', 0]))
      t.deepEqual([...(await reader.next()).body.subarray(2)], [0, 0x80])
    }
    t.is(broker.stats().counters.subscribesDenied, 12)
  })
})

test('a refused filter is not kept in the session either', async (t) => {
  const config = brokerConfig({ acl: [{ user: '*', publish: [], subscribe: ['open/#'] }] })
  await withBroker(t, { config }, async ({ broker, client }) => {
    const spy = await client({ id: 'spy', clean: false })
    spy.send(RawMqtt.subscribe(1, ['secret/#', 1], ['open/#', 1], ['#', 1]))
    t.deepEqual([...(await spy.next()).body.subarray(2)], [0x80, 1, 0x80])
    spy.destroy()
    await spy.closed
    await broker.publish('secret/a', 'x', { qos: 1 })
    await broker.publish('open/a', 'y', { qos: 1 })
    t.is(broker.stats().queued, 1)
    const back = await client({ id: 'spy', clean: false })
    t.deepEqual(
      (await back.settle()).map((each) => published(each).payload),
      ['y'],
    )
  })
})

test('a second connection with the same client id closes the first', async (t) => {
  const events: string[] = []
  await withBroker(t, { onClient: ({ type, client: { clientId } }) => events.push(`${type} ${clientId}`) }, async ({ broker, client }) => {
    const first = await client({ id: 'same' })
    first.send(RawMqtt.subscribe(1, ['a', 0], ['b/+', 1]))
    await first.next()
    const second = await client({ id: 'same' })
    await first.closed
    second.send(RawMqtt.subscribe(1, ['a', 0]))
    await second.next()
    await broker.publish('a', 'for the second')
    t.is(published(await second.next()).payload, 'for the second')
    t.is(broker.stats().clients, 1)
    t.is(broker.stats().counters.takeovers, 1)
    t.deepEqual(events.toSorted(), ['connected same', 'connected same', 'disconnected same'])
    t.true(broker.disconnect('same', 'by the test'))
    await second.closed
    t.false(broker.disconnect('same', 'again'))
  })
})

test('twenty connections with one client id at once leave exactly one', async (t) => {
  await withBroker(t, {}, async ({ broker, client }) => {
    const all = await Promise.all(Array.from({ length: 20 }, () => client({ connect: false })))
    for (const raw of all) raw.send(RawMqtt.connect({ id: 'same', clean: false }))
    const alive = await Promise.all(all.map(async (raw) => (await Promise.race([raw.closed, raw.settle().catch(() => {})]), raw)))
    await Promise.all(alive.slice(0, 19).map((raw) => raw.closed))
    t.is(broker.stats().clients, 1)
    t.is(broker.stats().connections, 1)
    t.deepEqual(await alive[19]!.settle(), [])
  })
})

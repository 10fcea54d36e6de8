import test from 'ava'
import { FakeIngest, withBroker } from '../support/broker.ts'
import { published, RawMqtt } from '../support/raw-mqtt.ts'

test('PUBACK comes only after the ingest has confirmed, in the order of the messages', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    for (let id = 1; id <= 1000; id++) sensor.send(RawMqtt.publish('a/b', `message ${id}`, { qos: 1, id }))
    await ingest.has(1000)
    t.deepEqual(await sensor.settle(), [], 'a thousand messages are in flight and none is acknowledged')
    ingest.release(300)
    t.deepEqual(idsOf(await sensor.settle()), range(1, 300))
    ingest.release(700)
    t.deepEqual(idsOf(await sensor.settle()), range(301, 1000))
  })
})

test('PUBACKs keep the order of the messages when the ingest confirms them in another', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    sensor.send(...[1, 2, 3].map((id) => RawMqtt.publish('a', '', { qos: 1, id })))
    await ingest.has(3)
    ingest.held[2]!(null)
    ingest.held[1]!(null)
    t.deepEqual(await sensor.settle(), [])
    ingest.held[0]!(null)
    t.deepEqual(idsOf(await sensor.settle()), [1, 2, 3])
  })
})

test('a message that the ingest refuses is never acknowledged and its client is closed', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    sensor.send(...[1, 2, 3].map((id) => RawMqtt.publish('a', '', { qos: 1, id })))
    await ingest.has(3)
    ingest.release(1)
    ingest.release(1, new Error('disk full'))
    ingest.release(1)
    await sensor.closed
    t.deepEqual(idsOf(sensor.packets), [1])
    t.is(broker.stats().counters.ingestRefused, 1)
    t.is(broker.stats().inFlight, 0)
  })
})

test('a client with more in flight than the lane holds is read on as the ingest confirms', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    const payload = 'x'.repeat(200)
    for (let n = 0; n < 10_000; n++) sensor.send(RawMqtt.publish('a', payload, { qos: 1, id: n + 1 }))
    await ingest.has(4096)
    const bystander = await client()
    for (let round = 0; round < 50; round++) await bystander.settle()
    t.true(ingest.messages.length < 5000, 'the socket is paused, and others are served')
    ingest.isHolding = false
    ingest.release(10_000)
    for (let n = 0; n < 10_000; n++) t.is((await sensor.next()).body.readUInt16BE(0), n + 1)
  })
})

test('a QoS 2 message sent again before and after PUBREC is taken once', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    sensor.send(RawMqtt.publish('a', 'once', { qos: 2, id: 7 }), RawMqtt.publish('a', 'once', { qos: 2, id: 7, dup: true }))
    await ingest.has(1)
    t.deepEqual(await sensor.settle(), [])
    ingest.release(1)
    t.deepEqual(typesOf(await sensor.settle()), [5])
    sensor.send(RawMqtt.publish('a', 'once', { qos: 2, id: 7, dup: true }))
    t.deepEqual(typesOf(await sensor.settle()), [5])
    sensor.send(RawMqtt.pubrel(7))
    t.is((await sensor.next()).type, 7)
    t.deepEqual(ingest.payloads, ['once'])
    ingest.isHolding = false
    sensor.send(RawMqtt.publish('a', 'another', { qos: 2, id: 7 }))
    t.is((await sensor.next()).type, 5)
    t.deepEqual(ingest.payloads, ['once', 'another'])
  })
})

test('a QoS 2 message sent again over a new connection of the session is taken once', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const first = await client({ id: 'pump', clean: false })
    first.send(RawMqtt.publish('a', 'once', { qos: 2, id: 9 }))
    await ingest.has(1)
    first.destroy()
    const second = await client({ id: 'pump', clean: false })
    second.send(RawMqtt.publish('a', 'once', { qos: 2, id: 9, dup: true }))
    t.deepEqual(await second.settle(), [], 'the first sending is still on its way')
    ingest.release(1)
    t.deepEqual(typesOf(await second.settle()), [5])
    second.destroy()
    const third = await client({ id: 'pump', clean: false })
    third.send(RawMqtt.publish('a', 'once', { qos: 2, id: 9, dup: true }))
    t.is((await third.next()).type, 5)
    third.send(RawMqtt.pubrel(9))
    t.is((await third.next()).type, 7)
    t.deepEqual(ingest.payloads, ['once'])
  })
})

test('PUBREL for a message that is not confirmed yet closes the client', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    ingest.isHolding = true
    const sensor = await client()
    sensor.send(RawMqtt.publish('a', '', { qos: 2, id: 1 }), RawMqtt.pubrel(1))
    await sensor.closed
    t.is(broker.stats().counters.malformed, 1)
    ingest.release(1)
  })
})

test('subscribers get a message only after the ingest has confirmed it', async (t) => {
  await withBroker(t, {}, async ({ ingest, client }) => {
    ingest.isHolding = true
    const reader = await client()
    reader.send(RawMqtt.subscribe(1, ['a', 1]))
    t.is((await reader.next()).type, 9)
    const sensor = await client()
    sensor.send(RawMqtt.publish('a', 'late', { qos: 1, id: 1 }))
    await ingest.has(1)
    t.deepEqual(await reader.settle(), [])
    ingest.release(1)
    t.is(published(await reader.next()).payload, 'late')
  })
})

test('a will passes the ingest when its client is gone, and not when it said goodbye', async (t) => {
  const ingest = new FakeIngest()
  await withBroker(t, { ingest }, async ({ client }) => {
    const will = { topic: 'status/pump', payload: 'dead', qos: 1, retain: true }
    const polite = await client({ connect: false })
    polite.send(RawMqtt.connect({ id: 'polite', will }))
    await polite.next()
    polite.send(RawMqtt.disconnect)
    await polite.closed
    const rude = await client({ connect: false })
    rude.send(RawMqtt.connect({ id: 'rude', will }))
    await rude.next()
    rude.destroy()
    await ingest.has(1)
    t.deepEqual(ingest.messages, [{ clientId: 'rude', topic: 'status/pump', payload: 'dead', qos: 1, retain: true }])
    const reader = await client()
    reader.send(RawMqtt.subscribe(1, ['status/+', 1]))
    await reader.next()
    t.is(published(await reader.next()).payload, 'dead', 'it is retained')
  })
})

test('closing the broker publishes no wills and takes no more messages', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    const sensor = await client({ connect: false })
    sensor.send(RawMqtt.connect({ id: 'pump', will: { topic: 'status', payload: 'dead' } }))
    await sensor.next()
    await broker.close()
    await broker.close()
    await sensor.closed
    t.deepEqual(ingest.messages, [])
  })
})

test("a function's message reaches subscribers, and the ingest when it is asked for", async (t) => {
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    const reader = await client()
    reader.send(RawMqtt.subscribe(1, ['out/#', 1]))
    await reader.next()
    await broker.publish('out/a', 'plain', { qos: 1 })
    t.is(published(await reader.next()).payload, 'plain')
    t.deepEqual(ingest.messages, [])
    ingest.isHolding = true
    const done = broker.publish('out/a', 'kept', { ingest: true })
    await ingest.has(1)
    t.deepEqual(await reader.settle(), [])
    ingest.release(1)
    await done
    t.is(published(await reader.next()).payload, 'kept')
    await t.throwsAsync(broker.publish('out/+', 'x'), { code: 'topic-invalid' })
  })
})

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function idsOf(packets: { type: number; body: Buffer }[]): number[] {
  return packets.filter(({ type }) => type === 4).map(({ body }) => body.readUInt16BE(0))
}

function typesOf(packets: { type: number }[]): number[] {
  return packets.map(({ type }) => type)
}

import { networkInterfaces } from 'node:os'
import { connectAsync } from 'mqtt'
import test from 'ava'
import { brokerConfig, withBroker } from '../support/broker.ts'
import { RawMqtt } from '../support/raw-mqtt.ts'
import { TestCa } from '../support/test-ca.ts'

test('over TLS a client is who its certificate says, and nobody without a good one', async (t) => {
  const ca = await TestCa.make()
  const stranger = await TestCa.make()
  const server = await ca.server()
  const tls = { cert: server.certificate, key: server.key, ca: ca.certificate }
  await withBroker(t, { tls, config: brokerConfig({ allowAnonymous: false }) }, async ({ broker, ingest }) => {
    const open = (identity: { certificate: string; key: string } | null) =>
      connectAsync(
        `mqtts://127.0.0.1:${broker.address.port}`,
        {
          ca: ca.certificate,
          ...(identity === null ? {} : { cert: identity.certificate, key: identity.key }),
          clientId: 'd1',
          reconnectPeriod: 0,
        },
        false,
      )
    const device = await open(await ca.device('device-1'))
    try {
      await device.publishAsync('a', 'x', { qos: 1 })
      t.deepEqual(
        broker.clients().map(({ identity }) => identity),
        ['device-1'],
      )
      t.deepEqual(ingest.payloads, ['x'])
      await t.throwsAsync(open(null), { message: /Not authorized/i })
      await t.throwsAsync(open(await stranger.device('device-1')), { message: /Not authorized/i })
    } finally {
      await device.endAsync(true)
    }
  })
})

test('a client that is silent for longer than the allowed keepalive is closed, whatever it asked for', async (t) => {
  await withBroker(t, { config: brokerConfig({}, { keepaliveMaxSeconds: 0.05 }) }, async ({ client }) => {
    const unbounded = await client({ keepalive: 0 })
    const silent = await client({ keepalive: 65_535 })
    await silent.closed
    t.deepEqual(await unbounded.settle(), [], 'no keepalive asked for: only TCP watches')
  })
})

test('from another address anonymous clients are refused, and connections are few', async (t) => {
  const own = Object.values(networkInterfaces())
    .flat()
    .find((each) => each?.family === 'IPv4' && !each.internal)
  if (own === undefined) return t.pass('this machine has no address but loopback')
  await withBroker(
    t,
    { listen: { host: '0.0.0.0', port: 0 }, config: brokerConfig({}, { connectionsPerAddressMax: 2 }) },
    async ({ broker, client }) => {
      const first = await RawMqtt.open(broker.address.port, own.address)
      const second = await RawMqtt.open(broker.address.port, own.address)
      const third = await RawMqtt.open(broker.address.port, own.address)
      t.teardown(() => [first, second, third].forEach((each) => each.destroy()))
      await third.closed
      first.send(RawMqtt.connect({ id: 'a' }))
      t.deepEqual([...(await first.next()).body], [0, 5])
      t.deepEqual(await (await client()).settle(), [], 'loopback is not counted')
      t.is(broker.stats().counters.connectionsRefused, 1)
    },
  )
})

test('an authentication that throws lets nobody in', async (t) => {
  const authenticate = () => Promise.reject(new Error('no database'))
  await withBroker(t, { authenticate }, async ({ broker, client }) => {
    const raw = await client({ connect: false })
    raw.send(RawMqtt.connect({ id: 'a' }))
    t.deepEqual([...(await raw.next()).body], [0, 3])
    await raw.closed
    t.is(broker.stats().clients, 0)
  })
})

test('an ingest that throws is a refusal, not a crash', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest, client }) => {
    ingest.publish = () => {
      throw new Error('closed')
    }
    const sensor = await client()
    sensor.send(RawMqtt.publish('a', '', { qos: 1, id: 1 }))
    await sensor.closed
    t.deepEqual(sensor.packets, [])
    t.is(broker.stats().counters.ingestRefused, 1)
  })
})

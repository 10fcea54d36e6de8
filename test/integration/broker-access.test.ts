import test from 'ava'
import { hashPassword } from '../../config/password.ts'
import { openBroker } from '../../adapters/broker/broker.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { brokerConfig, FakeIngest, withBroker } from '../support/broker.ts'
import { published, RawMqtt } from '../support/raw-mqtt.ts'

const users = [
  { name: 'pump', password: await hashPassword('secret') },
  { name: 'admin', password: await hashPassword('other') },
]
const acl = [
  { user: 'pump', publish: ['sensors/%c/#'], subscribe: ['commands/%c/#'] },
  { user: 'admin', publish: ['#'], subscribe: ['#'] },
]

test('a client is let in by user and password, and by nothing less', async (t) => {
  await withBroker(t, { config: brokerConfig({ users, acl, allowAnonymous: false }) }, async ({ broker, client }) => {
    const answers: [options: Parameters<typeof RawMqtt.connect>[0], code: number][] = [
      [{ id: 'p1', username: 'pump', password: 'secret' }, 0],
      [{ id: 'p2', username: 'pump', password: 'secret' }, 0],
      [{ id: 'p3', username: 'pump', password: 'wrong' }, 4],
      [{ id: 'p4', username: 'pump' }, 4],
      [{ id: 'p5', username: 'nobody', password: 'secret' }, 4],
      [{ id: 'p6' }, 5],
      [{ id: 'p/7', username: 'pump', password: 'secret' }, 2],
      [{ id: '', username: 'pump', password: 'secret', clean: false }, 2],
      [{ id: '', username: 'pump', password: 'secret' }, 0],
      [{ id: 'p8', username: 'pu+mp', password: 'secret' }, 4],
      [{ id: 'p9', username: 'pump', password: 'secret', will: { topic: 'sensors/p8/x', payload: '' } }, 5],
      [{ id: 'p9', username: 'pump', password: 'secret', will: { topic: 'sensors/p9/x', payload: '' } }, 0],
    ]
    for (const [options, code] of answers) {
      const raw = await client({ connect: false })
      raw.send(RawMqtt.connect(options))
      t.deepEqual([...(await raw.next()).body], [0, code], JSON.stringify(options))
      if (code !== 0) await raw.closed
    }
    t.is(broker.stats().clients, 4)
  })
})

test('another user cannot take a client id or its session', async (t) => {
  await withBroker(t, { config: brokerConfig({ users, acl }) }, async ({ client }) => {
    const owner = await client({ id: 'p1', clean: false, username: 'pump', password: 'secret' })
    for (const clean of [true, false]) {
      const thief = await client({ connect: false })
      thief.send(RawMqtt.connect({ id: 'p1', clean, username: 'admin', password: 'other' }))
      t.deepEqual([...(await thief.next()).body], [0, 2])
    }
    t.deepEqual(await owner.settle(), [])
    owner.destroy()
    await owner.closed
    const later = await client({ connect: false })
    later.send(RawMqtt.connect({ id: 'p1', username: 'admin', password: 'other' }))
    t.deepEqual([...(await later.next()).body], [0, 2])
  })
})

test('a publish that is denied closes the client and is not acknowledged or taken', async (t) => {
  await withBroker(t, { config: brokerConfig({ users, acl }) }, async ({ broker, ingest, client }) => {
    const denied = ['sensors/p2/x', 'other', '$SYS/x', 'dunlin/x', 'commands/p1/x', 'sensors/p1' + '/x'.repeat(40)]
    for (const topic of denied) {
      const pump = await client({ id: 'p1', username: 'pump', password: 'secret' })
      pump.send(RawMqtt.publish('sensors/p1/x', 'ok', { qos: 1, id: 1 }))
      t.is((await pump.next()).type, 4)
      pump.send(RawMqtt.publish(topic, 'bad', { qos: 1, id: 2 }), RawMqtt.publish('sensors/p1/x', 'after', { qos: 1, id: 3 }))
      await pump.closed
      t.deepEqual(pump.packets, [], topic)
    }
    t.true(ingest.payloads.every((payload) => payload === 'ok'))
    t.is(broker.stats().counters.publishesDenied, denied.length)
  })
})

test('anonymous clients get in from loopback only where that is the rule', async (t) => {
  await withBroker(t, { config: brokerConfig({ allowAnonymous: 'loopback' }) }, async ({ client }) => {
    await client()
    const wrong = await client({ connect: false })
    wrong.send(RawMqtt.connect({ id: 'x', username: 'u', password: 'p' }))
    t.deepEqual([...(await wrong.next()).body], [0, 4], 'a wrong password is not anonymous')
  })
})

test('own rules of authentication and access replace the configured ones', async (t) => {
  const asked: string[] = []
  const options = {
    authenticate: async ({ clientId, username }: { clientId: string; username: string | null }) =>
      username === 'no' ? { refuse: 'not you', returnCode: 5 as const } : { identity: `id-of-${clientId}` },
    authorize: (identity: string, verb: string, topic: string) => {
      asked.push(`${identity} ${verb} ${topic}`)
      return topic.startsWith('dunlin/')
    },
  }
  await withBroker(t, options, async ({ broker, ingest, client }) => {
    const device = await client({ id: 'd1' })
    device.send(RawMqtt.subscribe(1, ['dunlin/d1/#', 1], ['other', 1]), RawMqtt.publish('dunlin/d1/up', 'x', { qos: 1, id: 5 }))
    t.deepEqual([...(await device.next()).body.subarray(2)], [1, 0x80])
    t.is((await device.next()).type, 4)
    t.is(published(await device.next()).topic, 'dunlin/d1/up')
    t.is(ingest.messages.length, 1)
    t.deepEqual(asked, ['id-of-d1 subscribe dunlin/d1/#', 'id-of-d1 subscribe other', 'id-of-d1 publish dunlin/d1/up'])
    t.deepEqual(
      broker.clients().map(({ clientId, identity }) => [clientId, identity]),
      [['d1', 'id-of-d1']],
    )
    const refused = await client({ connect: false })
    refused.send(RawMqtt.connect({ id: 'd2', username: 'no' }))
    t.deepEqual([...(await refused.next()).body], [0, 5])
  })
})

test('a taken port is named with its setting', async (t) => {
  await withBroker(t, {}, async ({ broker }) => {
    const { port } = broker.address
    t.true(port > 0)
    const error = await t.throwsAsync(
      openBroker({ config: brokerConfig({ listen: { host: '127.0.0.1', port } }), ingest: new FakeIngest(), logger: silentLogger }),
      { code: 'port-taken' },
    )
    t.regex(error.message, new RegExp(`127\\.0\\.0\\.1:${port} \\(broker\\.listen\\)`))
  })
})

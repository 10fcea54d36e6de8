import test from 'ava'
import type { ExecutionContext } from 'ava'
import { connectAsync, type MqttClient } from 'mqtt'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { Mosquitto } from '../support/mosquitto.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TestCa } from '../support/test-ca.ts'

const EMIT = { 'main.mjs': `export const handler = (context, event) => context.emit('out', event.topic + ' ' + Buffer.from(event.body))` }

const spec = (port: number, attributes: string, name = 'f', more = '') => `
metadata: { name: ${name} }
spec:
  runtime: nodejs
  handler: main:handler
  triggers:
    t: { kind: mqtt, url: 'mqtt://127.0.0.1:${port}', ${more} attributes: { ${attributes} } }`

interface Stage {
  readonly directory: string
  readonly mosquitto: Mosquitto
  readonly rig: ProcessorRig
  readonly client: (version?: 4 | 5) => Promise<MqttClient>
}

async function stage(t: ExecutionContext, lines?: readonly string[]): Promise<Stage> {
  const directory = tempDir(t)
  const mosquitto = await Mosquitto.prepare(directory, lines)
  const rig = await ProcessorRig.open(directory)
  t.teardown(async () => {
    await rig.close()
    await mosquitto.stop()
  })
  return {
    directory,
    mosquitto,
    rig,
    async client(version = 4) {
      const client = await connectAsync(`mqtt://127.0.0.1:${mosquitto.port}`, { protocolVersion: version })
      t.teardown(() => client.endAsync(true))
      return client
    },
  }
}

const withMosquitto = needs(test, 'mosquitto')

for (const version of [4, 5] as const) {
  withMosquitto(`messages of QoS 0, 1 and 2 become one event each, in the order of their topic (MQTT ${version})`, async (t) => {
    const { mosquitto, rig, client } = await stage(t)
    const subscribed = mosquitto.said(/Sending SUBACK to dunlin-/)
    await rig.processor.activate(
      rig.version(spec(mosquitto.port, `protocolVersion: ${version}, subscriptions: [{ topic: 'a/#', qos: 2 }]`), EMIT),
    )
    const connection = () => rig.processor.status()[0]!.triggers[0]!.connection
    await rig.until(() => /ECONNREFUSED/.test(connection() ?? ''))
    await mosquitto.start()
    await subscribed
    await rig.until(() => connection() === 'connected')
    const publisher = await client()
    for (const qos of [0, 1, 2] as const) {
      // mosquitto cuts a publisher off that has more than max_inflight_messages of QoS 2 open, and MQTT.js then loses them.
      for (let index = 0; index < 300; index += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, more) => publisher.publishAsync(`a/${qos}`, String(index + more), { qos })))
      }
    }
    await rig.until(async () => (await rig.rows('out')).length >= 900)
    const rows = await rig.rows('out')
    for (const qos of [0, 1, 2]) {
      t.deepEqual(
        rows.filter((row) => row.startsWith(`a/${qos} `)),
        Array.from({ length: 300 }, (_, index) => `a/${qos} ${index}`),
      )
    }
  })
}

withMosquitto('a slow handler is overlapped across topics, keeps each topic in order, and does not hold up the keep-alive', async (t) => {
  const { mosquitto, rig, client } = await stage(t)
  await mosquitto.start()
  const slow = `
    let running = 0, most = 0
    export const handler = async (context, event) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setTimeout(resolve, 250))
      running--
      context.emit('out', event.topic + ' ' + Buffer.from(event.body) + ' ' + most)
    }`
  const subscribed = mosquitto.said(/Sending SUBACK to dunlin-/)
  const spec8 = spec(mosquitto.port, `keepAlive: 3s, subscriptions: [{ topic: 'a/#' }]`)
  await rig.processor.activate(rig.version(spec8, { 'main.mjs': slow }))
  await subscribed
  const publisher = await client()
  // 8 topics of 20: 5 s side by side, longer than the keep-alive allows for silence; one after the other they would take 40 s.
  const sent = Array.from({ length: 160 }, (_, index) => publisher.publishAsync(`a/${index % 8}`, String(index >> 3), { qos: 1 }))
  await Promise.all(sent)
  await rig.until(async () => (await rig.rows('out')).length >= 160)
  const rows = (await rig.rows('out')).map((row) => row.split(' '))
  for (let topic = 0; topic < 8; topic++) {
    t.deepEqual(
      rows.filter(([name]) => name === `a/${topic}`).map(([, index]) => Number(index)),
      Array.from({ length: 20 }, (_, index) => index),
    )
  }
  t.is(Math.max(...rows.map(([, , most]) => Number(most))), 8)
  t.false(mosquitto.log.some((line) => /dunlin-.* (has exceeded timeout|closed its connection)/.test(line)))
})

withMosquitto('a message of MQTT 5 brings its properties, and the answer goes to its response topic and to resultTopic', async (t) => {
  const { mosquitto, rig, client } = await stage(t)
  await mosquitto.start()
  const answering = `export const handler = (context, event) => {
    context.emit('out', JSON.stringify([event.contentType, event.headers['unit'], event.headers['mqtt-response-topic'], event.qos]))
    return new context.Response({ body: 'seen ' + Buffer.from(event.body), contentType: 'text/plain', headers: { 'x-by': 'f' } })
  }`
  const subscribed = mosquitto.said(/Sending SUBACK to dunlin-/)
  await rig.processor.activate(
    rig.version(spec(mosquitto.port, `protocolVersion: 5, resultTopic: 'results/{topic}', subscriptions: [{ topic: 'a/#' }]`), {
      'main.mjs': answering,
    }),
  )
  await subscribed
  const caller = await client(5)
  await caller.subscribeAsync(['answers', 'results/#'], { qos: 1 })
  const got = new Map<string, { body: string; correlation: string | undefined; by: unknown; contentType: string | undefined }>()
  const both = new Promise<void>((resolve) =>
    caller.on('message', (topic, payload, { properties }) => {
      const correlation = properties?.correlationData?.toString()
      got.set(topic, {
        body: payload.toString(),
        correlation,
        by: properties?.userProperties?.['x-by'],
        contentType: properties?.contentType,
      })
      if (got.size === 2) resolve()
    }),
  )
  const properties = {
    contentType: 'text/csv',
    responseTopic: 'answers',
    correlationData: Buffer.from('c7'),
    userProperties: { unit: 'bar' },
  }
  await caller.publishAsync('a/b', '1.5', { qos: 1, properties })
  await both
  t.deepEqual(got.get('answers'), { body: 'seen 1.5', correlation: 'c7', by: 'f', contentType: 'text/plain' })
  t.deepEqual(got.get('results/a/b'), { body: 'seen 1.5', correlation: undefined, by: 'f', contentType: 'text/plain' })
  t.deepEqual(await rig.rows('out'), [JSON.stringify(['text/csv', 'bar', 'answers', 1])])
})

withMosquitto('results that the handler returns while the broker is away are published when it is there', async (t) => {
  const { mosquitto, rig, client } = await stage(t)
  await mosquitto.start()
  const answering = `export const handler = (context, event) => {
    context.emit('out', 'handled')
    return 'answer'
  }`
  const subscribed = mosquitto.said(/Sending SUBACK to dunlin-/)
  await rig.processor.activate(
    rig.version(spec(mosquitto.port, `resultTopic: results, subscriptions: [{ topic: a }]`), { 'main.mjs': answering }),
  )
  await subscribed
  await mosquitto.stop()
  const record = rig.processor.events.finish(Buffer.from('while away'))
  await new Promise<void>((resolve, reject) => rig.sinks.get('t')!.accept(record, (error) => (error ? reject(error) : resolve())))
  await rig.until(async () => (await rig.rows('out')).length === 1)
  await mosquitto.start()
  const reader = await client()
  const result = new Promise<string>((resolve) => reader.on('message', (_topic, payload) => resolve(payload.toString())))
  await reader.subscribeAsync('results', { qos: 1 })
  t.is(await result, 'answer')
})

withMosquitto(
  'filters that overlap run the handler once for a message, and messages that are alike stay as many as they are',
  async (t) => {
    const { mosquitto, rig, client } = await stage(t)
    await mosquitto.start()
    const subscribed = Promise.all([
      mosquitto.said(/Sending SUBACK to dunlin-/),
      mosquitto.said(/a\/\+ \(QoS 1/),
      mosquitto.said(/\+\/b \(QoS 1/),
    ])
    await rig.processor.activate(
      rig.version(
        spec(mosquitto.port, `protocolVersion: 5, subscriptions: [{ topic: 'a/+' }, { topic: '+/b' }, { topic: 'a/c' }, { topic: end }]`),
        EMIT,
      ),
    )
    await subscribed
    const publisher = await client()
    for (const topic of ['a/b', 'a/b', 'a/b', 'a/c', 'x/b']) await publisher.publishAsync(topic, 'same', { qos: 1 })
    await publisher.publishAsync('end', '', { qos: 1 })
    await rig.until(async () => (await rig.rows('out')).includes('end '))
    t.deepEqual((await rig.rows('out')).sort(), ['a/b same', 'a/b same', 'a/b same', 'a/c same', 'end ', 'x/b same'])
  },
)

withMosquitto('a shared subscription gives each message to one of two functions', async (t) => {
  const { mosquitto, rig, client } = await stage(t)
  await mosquitto.start()
  for (const name of ['f', 'g']) {
    const subscribed = mosquitto.said(/Sending SUBACK to dunlin-/)
    const source = EMIT['main.mjs'].replace("'out'", `'out-${name}'`)
    await rig.processor.activate(
      rig.version(spec(mosquitto.port, `subscriptions: [{ topic: '$share/pool/a/#' }]`, name), { 'main.mjs': source }),
    )
    await subscribed
  }
  const publisher = await client()
  await Promise.all(Array.from({ length: 200 }, (_, index) => publisher.publishAsync('a/b', String(index), { qos: 1 })))
  const all = async () => [await rig.rows('out-f'), await rig.rows('out-g')] as const
  await rig.until(async () => (await all()).flat().length >= 200)
  const [f, g] = await all()
  t.true(f.length > 0 && g.length > 0)
  t.is(new Set([...f, ...g]).size, 200)
  t.is(f.length + g.length, 200)
})

withMosquitto('a filter that a new version has no more is given up at the broker, which had kept it in the session', async (t) => {
  const { mosquitto, rig, client } = await stage(t)
  await mosquitto.start()
  for (const topics of [['a', 'b'], ['b']]) {
    const subscribed = mosquitto.said(/Sending SUBACK to device/)
    const subscriptions = topics.map((topic) => `{ topic: ${topic} }`).join(', ')
    await rig.processor.activate(rig.version(spec(mosquitto.port, `clientID: device, subscriptions: [${subscriptions}]`), EMIT))
    await subscribed
  }
  const publisher = await client()
  for (const topic of ['a', 'b']) await publisher.publishAsync(topic, '1', { qos: 1 })
  await rig.until(async () => (await rig.rows('out')).includes('b 1'))
  t.deepEqual(await rig.rows('out'), ['b 1'])
})

for (const scheme of ['mqtts', 'wss'] as const) {
  withMosquitto(
    `a broker that asks for a client certificate is reached over ${scheme}, and one without a good certificate is not`,
    async (t) => {
      const directory = tempDir(t)
      const ca = await TestCa.make()
      const [server, device] = [await ca.server(), await ca.device('pump-1')]
      const write = (name: string, text: string) => {
        const file = path.join(directory, name)
        writeFileSync(file, text)
        return file
      }
      const caFile = write('ca.pem', ca.certificate)
      const files = [
        write('server.pem', server.certificate),
        write('server.key', server.key),
        write('device.pem', device.certificate),
        write('device.key', device.key),
      ]
      const mosquitto = await Mosquitto.prepare(directory, [
        ...(scheme === 'wss' ? ['protocol websockets'] : []),
        `cafile ${caFile}`,
        `certfile ${files[0]}`,
        `keyfile ${files[1]}`,
        'require_certificate true',
        'use_identity_as_username true',
        // mosquitto 2.0.11 does not start with WebSockets alone.
        ...(scheme === 'wss' ? [`listener 0 ${directory}/mosquitto.sock`] : []),
      ])
      await mosquitto.start()
      const rig = await ProcessorRig.open(directory)
      t.teardown(async () => {
        await rig.close()
        await mosquitto.stop()
      })
      const connectionOf = (name: string) => rig.processor.status().find((fn) => fn.name === name)!.triggers[0]!.connection
      const url = `${scheme}://localhost:${mosquitto.port}`
      const version = (name: string, attributes: string) =>
        rig.version(spec(0, `subscriptions: [{ topic: a }], ${attributes}`, name).replace('mqtt://127.0.0.1:0', url), EMIT)
      await rig.processor.activate(version('good', `caFile: ${caFile}, certFile: ${files[2]}, keyFile: ${files[3]}`))
      await rig.processor.activate(version('stranger', `certFile: ${files[2]}, keyFile: ${files[3]}`))
      await rig.processor.activate(version('missing', `caFile: ${directory}/none.pem`))
      await rig.until(() => connectionOf('good') === 'connected')
      await rig.until(() => /certificate/.test(connectionOf('stranger') ?? ''))
      await rig.until(() => /Cannot read .*none\.pem/.test(connectionOf('missing') ?? ''))
      const publisher = await connectAsync(url, { ca: ca.certificate, cert: device.certificate, key: device.key })
      await publisher.publishAsync('a', '1', { qos: 1 })
      await publisher.endAsync()
      await rig.until(async () => (await rig.rows('out')).includes('a 1'))
      t.true(mosquitto.log.some((line) => / as dunlin-.*u'pump-1'/.test(line)))
    },
  )
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import test from 'ava'
import { connectAsync } from 'mqtt'
import { withBroker } from '../support/broker.ts'

/** Runs one of Mosquitto's clients until it ends. */
function mosquitto(command: 'mosquitto_pub' | 'mosquitto_sub', port: number, ...args: string[]): { done: Promise<string>; kill(): void } {
  const child = spawn(command, ['-h', '127.0.0.1', '-p', String(port), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  return { done: once(child, 'close').then(() => output), kill: () => void child.kill() }
}

test("Mosquitto's clients publish and subscribe at every QoS", async (t) => {
  let connected = 0
  const subscribed = Promise.withResolvers<void>()
  await withBroker(
    t,
    { onClient: ({ type }) => type === 'connected' && ++connected === 1 && subscribed.resolve() },
    async ({ broker, ingest }) => {
      const { port } = broker.address
      // The first message is retained: it also comes when the subscription is later than the publish.
      const reader = mosquitto('mosquitto_sub', port, '-t', 'plant/#', '-q', '2', '-C', '3', '-v', '-W', '20')
      t.teardown(() => reader.kill())
      await subscribed.promise
      for (const qos of ['0', '1', '2']) {
        t.is(await mosquitto('mosquitto_pub', port, '-t', `plant/${qos}`, '-m', `hello ${qos}`, '-q', qos, '-r').done, '')
      }
      t.deepEqual((await reader.done).trim().split('\n').toSorted(), ['plant/0 hello 0', 'plant/1 hello 1', 'plant/2 hello 2'])
      t.deepEqual(
        ingest.messages.map(({ topic, qos, retain }) => [topic, qos, retain]),
        [
          ['plant/0', 0, true],
          ['plant/1', 1, true],
          ['plant/2', 2, true],
        ],
      )
    },
  )
})

test('Mosquitto asking for MQTT 5 is told that it is not spoken', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest }) => {
    const output = await mosquitto('mosquitto_pub', broker.address.port, '-V', '5', '-t', 'a', '-m', 'x').done
    t.regex(output, /protocol version/i)
    t.deepEqual(ingest.messages, [])
  })
})

test('MQTT.js publishes two thousand messages at QoS 1 and 2, all taken once and in order', async (t) => {
  await withBroker(t, {}, async ({ broker, ingest }) => {
    const client = await connectAsync({ port: broker.address.port, host: '127.0.0.1', clientId: 'js', reconnectPeriod: 0 })
    try {
      const sent: Promise<unknown>[] = []
      for (let n = 0; n < 2000; n++) sent.push(client.publishAsync(`a/${n % 2}`, `${n}`, { qos: n % 2 === 0 ? 1 : 2 }))
      await Promise.all(sent)
    } finally {
      await client.endAsync(true)
    }
    t.deepEqual(
      ingest.payloads,
      Array.from({ length: 2000 }, (_, n) => `${n}`),
    )
    t.is(broker.stats().received, 2000)
  })
})

test('MQTT.js gets what is published at QoS 2, once', async (t) => {
  await withBroker(t, {}, async ({ broker }) => {
    const client = await connectAsync({ port: broker.address.port, host: '127.0.0.1', clientId: 'js', clean: false, reconnectPeriod: 0 })
    try {
      await client.subscribeAsync('out/#', { qos: 2 })
      const got: string[] = []
      const all = Promise.withResolvers<void>()
      client.on('message', (_topic, payload) => {
        got.push(payload.toString())
        if (got.length === 500) all.resolve()
      })
      for (let n = 0; n < 500; n++) await broker.publish('out/x', `${n}`, { qos: 2 })
      await all.promise
      t.deepEqual(
        got,
        Array.from({ length: 500 }, (_, n) => `${n}`),
      )
    } finally {
      await client.endAsync(true)
    }
  })
})

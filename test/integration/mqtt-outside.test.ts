import test from 'ava'
import type { ExecutionContext } from 'ava'
import { connectAsync, type MqttClient } from 'mqtt'
import { Mosquitto } from '../support/mosquitto.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

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
  client(version?: 4 | 5): Promise<MqttClient>
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
    await mosquitto.start()
    await subscribed
    const publisher = await client()
    for (const qos of [0, 1, 2] as const) {
      await Promise.all(Array.from({ length: 300 }, (_, index) => publisher.publishAsync(`a/${qos}`, String(index), { qos })))
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

/**
 * An outside broker that restarts, and an agent that is killed, under load. The judge is the broker's own log: what it had sent and not
 * seen acknowledged when a connection ended may come twice, and nothing else, and nothing is ever lost.
 */
import test from 'ava'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { Mosquitto } from '../support/mosquitto.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const ROUNDS = 3
const PER_ROUND = 400
const CLIENT = 'device'

const EMIT = { 'main.mjs': `export const handler = (context, event) => context.emit('out', event.topic + ' ' + Buffer.from(event.body))` }

const spec = (port: number, version: 4 | 5, more = '') => `
metadata: { name: f }
spec:
  runtime: nodejs
  handler: main:handler
  triggers:
    t:
      kind: mqtt
      url: mqtt://127.0.0.1:${port}
      attributes: { clientID: ${CLIENT}, protocolVersion: ${version}, subscriptions: [{ topic: 'pumps/#', qos: 1 }] ${more} }`

const payloads = (round: number) => Array.from({ length: PER_ROUND }, (_, index) => `${round}-${index}`)

for (const version of [4, 5] as const) {
  needs(
    test.serial,
    'mosquitto',
    'mosquitto_pub',
  )(
    `an outside broker (MQTT ${version}) that restarts ${ROUNDS} times under load loses no message, and only what it had not seen acknowledged comes twice`,
    async (t) => {
      const directory = tempDir(t)
      const mosquitto = await Mosquitto.prepare(directory)
      const rig = await ProcessorRig.open(directory)
      t.teardown(async () => {
        await rig.close()
        await mosquitto.stop()
      })
      await rig.processor.activate(rig.version(spec(mosquitto.port, version), EMIT))
      const subscribed = mosquitto.said(/Sending SUBACK to device/)
      await mosquitto.start()
      await subscribed
      const acked = new Set<string>()
      let resent = 0
      for (let round = 0; round < ROUNDS; round++) {
        const had = (await rig.rows('out')).length
        const sending = sendReadings(mosquitto.port, 'pumps/a', payloads(round))
        await rig.until(async () => (await rig.rows('out')).length > had + 10)
        await mosquitto.stop()
        await mosquitto.start()
        const sent = await sending
        for (const payload of sent.acked) acked.add(payload)
        resent += sent.resent.size
      }
      t.is(acked.size, ROUNDS * PER_ROUND)
      await rig.until(async () => new Set(await rig.rows('out')).size >= acked.size)
      const rows = await rig.rows('out')
      const seen = new Set(rows)
      t.deepEqual(
        [...acked].filter((payload) => !seen.has(`pumps/a ${payload}`)),
        [],
      )
      const twice = rows.length - seen.size
      const mayBe = mosquitto.cutOff(CLIENT) + resent
      t.log(`${acked.size} acknowledged, 0 lost, ${twice} twice, at most ${mayBe}: ${resent} sent again by the publisher`)
      t.true(twice <= mayBe)
    },
  )
}

/**
 * An outside broker that restarts, and an agent that is killed, under load. The judge is the broker's own log: what it had sent and not
 * seen acknowledged when a connection ended may come twice, and nothing else, and nothing is ever lost.
 */
import test from 'ava'
import { connectAsync } from 'mqtt'
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { startAgent } from '../support/agent-process.ts'
import { Mosquitto } from '../support/mosquitto.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { findProgram, needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const ROUNDS = 2
const PER_ROUND = 400
const KILLS = 3
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

needs(
  test.serial,
  'mosquitto',
  'mosquitto_pub',
)(
  'an agent that is killed under load loses no message of an outside broker, and only what the broker had not seen acknowledged comes twice',
  async (t) => {
    const directory = tempDir(t)
    const mosquitto = await Mosquitto.prepare(directory)
    await mosquitto.start()
    t.teardown(() => mosquitto.stop())
    const files = { 'function.yaml': spec(mosquitto.port, 4), ...EMIT }
    const count = 3000
    let sending: ReturnType<typeof sendReadings> | undefined
    for (let kill = 0; kill < KILLS; kill++) {
      const [subscribed, acknowledged] = [mosquitto.said(/Sending SUBACK to device/), mosquitto.said(/Received PUBACK from device/)]
      const agent = await startAgent(directory, files)
      await subscribed
      sending ??= sendReadings(
        mosquitto.port,
        'pumps/a',
        Array.from({ length: count }, (_, index) => String(index)),
      )
      await acknowledged
      await agent.stop('SIGKILL')
    }
    const sent = await sending!
    t.is(sent.acked.size, count)
    const rig = await ProcessorRig.open(directory)
    t.teardown(() => rig.close())
    await rig.processor.streams.open('out')
    await rig.processor.activate(rig.version(spec(mosquitto.port, 4), EMIT))
    await rig.until(async () => new Set(await rig.rows('out')).size >= count)
    const rows = await rig.rows('out')
    const twice = rows.length - count
    const mayBe = mosquitto.cutOff(CLIENT)
    t.log(`${count} acknowledged by the broker, ${KILLS} kills, 0 lost, ${twice} twice, at most ${mayBe}`)
    t.deepEqual(new Set(rows).size, count)
    t.true(twice <= mayBe)
  },
)

needs(test.serial, 'mosquitto')(
  'a store that is full takes nothing from the outside broker, says so, and gets all of it when there is room',
  async (t) => {
    const directory = tempDir(t)
    const gate = path.join(directory, 'gate')
    const mosquitto = await Mosquitto.prepare(directory)
    await mosquitto.start()
    const rig = await ProcessorRig.open(directory, { maxBytes: 2 * 1024 * 1024 })
    t.teardown(async () => {
      await rig.close()
      await mosquitto.stop()
    })
    const gated = `import { existsSync } from 'node:fs'
  export const handler = async (context, event) => {
    while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 20))
    context.emit('out', Buffer.from(event.body).toString().split(' ')[0])
  }`
    const subscribed = mosquitto.said(/Sending SUBACK to device/)
    await rig.processor.activate(rig.version(spec(mosquitto.port, 4), { 'main.mjs': gated }))
    await subscribed
    const publisher = await connectAsync(`mqtt://127.0.0.1:${mosquitto.port}`)
    t.teardown(() => publisher.endAsync(true))
    const count = 150
    await Promise.all(
      Array.from({ length: count }, (_, index) => publisher.publishAsync('pumps/a', `${index} ${'x'.repeat(20_000)}`, { qos: 1 })),
    )
    const connection = () => rig.processor.status()[0]!.triggers[0]!.connection
    await rig.until(() => /Could not keep a message: .* full/.test(connection() ?? ''))
    t.true(rig.processor.status()[0]!.triggers[0]!.received < count + rig.processor.status()[0]!.triggers[0]!.refused)
    writeFileSync(gate, '')
    await rig.until(async () => new Set(await rig.rows('out')).size >= count)
    t.true((await rig.store.ledger()).sources.every(({ balanced }) => balanced))
  },
)

needs(test.serial, 'mosquitto')(
  'a wrong password is told once, not at every try, and a corrected one is taken without a restart',
  async (t) => {
    const directory = tempDir(t)
    const passwords = path.join(directory, 'passwords')
    const passwordFile = path.join(directory, 'password')
    execFileSync(findProgram('mosquitto_passwd') ?? 'mosquitto_passwd', ['-b', '-c', passwords, 'me', 'right-one'])
    const mosquitto = await Mosquitto.prepare(directory, ['allow_anonymous false', `password_file ${passwords}`])
    await mosquitto.start()
    t.teardown(() => mosquitto.stop())
    writeFileSync(passwordFile, 'wrong-one\n')
    const yaml = spec(mosquitto.port, 4, `, passwordFile: ${passwordFile}`).replace('kind: mqtt', 'kind: mqtt\n      username: me')
    const refusals = () => mosquitto.log.filter((line) => line.includes('not authorised')).length
    const agent = await startAgent(directory, { 'function.yaml': yaml, ...EMIT })
    t.teardown(() => agent.stop())
    while (refusals() < 2) await mosquitto.said(/not authorised/)
    const told = agent
      .log()
      .split('\n')
      .filter((line) => line.includes('no connection to the outside broker'))
    t.is(told.length, 1)
    t.regex(told[0]!, /Not authorized|Bad username or password/)
    const subscribed = mosquitto.said(/Sending SUBACK to device/)
    writeFileSync(passwordFile, 'right-one\n')
    await subscribed
    t.notRegex(agent.log(), /wrong-one|right-one/)
  },
)

needs(test.serial, 'mosquitto')('messages of QoS 2 come exactly once when the broker restarts under load', async (t) => {
  const directory = tempDir(t)
  const mosquitto = await Mosquitto.prepare(directory)
  const rig = await ProcessorRig.open(directory)
  t.teardown(async () => {
    await rig.close()
    await mosquitto.stop()
  })
  await mosquitto.start()
  const subscribed = mosquitto.said(/Sending SUBACK to device/)
  await rig.processor.activate(rig.version(spec(mosquitto.port, 4).replace('qos: 1', 'qos: 2'), EMIT))
  await subscribed
  const publisher = await connectAsync(`mqtt://127.0.0.1:${mosquitto.port}`, { clientId: 'sensor', clean: false, reconnectPeriod: 50 })
  publisher.on('error', () => {})
  t.teardown(() => publisher.endAsync(true))
  const count = 600
  const sending = (async () => {
    // mosquitto cuts a publisher off that has more than max_inflight_messages of QoS 2 open.
    for (let index = 0; index < count; index += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, more) => publisher.publishAsync('pumps/a', String(index + more), { qos: 2 })))
    }
  })()
  for (const atLeast of [50, 250]) {
    await rig.until(async () => (await rig.rows('out')).length >= atLeast)
    await mosquitto.stop()
    await mosquitto.start()
  }
  await sending
  await rig.until(async () => new Set(await rig.rows('out')).size >= count)
  t.is((await rig.rows('out')).length, count)
})

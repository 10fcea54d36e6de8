/** The journey of a new version: beside the old one under an alias, with a share of the events, then in its place. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { dunlin } from '../support/cli.ts'
import { Fleet } from '../support/fleet.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { needs } from '../support/packages.ts'
import { seededRandom } from '../support/random.ts'

const READINGS = 2_000

const files = (name: string, stream: string, label: string): Record<string, string> => ({
  'function.yaml': `
metadata: { name: ${name} }
spec:
  runtime: nodejs
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'sensors/#', qos: 1 }] } }
`,
  'main.mjs': `export const handler = (context, event) => context.emit('${stream}', '${label} ' + event.body)`,
})

needs(test, 'mosquitto_pub')(
  'version that is tried on half of the events and then promoted loses none of them, and none of a second function, through three kills',
  async (t) => {
    t.timeout(120_000)
    const seed = Math.floor(Math.random() * 2 ** 31)
    t.log(`seed ${seed}`)
    const random = seededRandom(seed)
    const fleet = await Fleet.open(t, { f: files('f', 'readings', 'one'), copy: files('copy', 'copies', 'copy') })
    const home = fleet.writeHome()
    const run = async (...args: string[]) => {
      const { code, out, err } = await dunlin([...args, '--home', home])
      t.is(code, 0, `dunlin ${args.join(' ')}: ${err}`)
      return out
    }
    const source = join(fleet.folder, 'two')
    mkdirSync(source)
    for (const [name, text] of Object.entries(files('f', 'readings', 'two'))) writeFileSync(join(source, name), text)
    await run('deploy', source, '--alias', 'test', '--wait')
    t.regex(await run('set', 'route', 'f', '--percent', '50', '--alias', 'test'), /50 %.*test/)
    await fleet.until(async () => (await fleet.routes('f')).origin === 'hub')
    const refused = await dunlin(['set', 'route', 'f', '--alias', 'test', '--here', '--home', home])
    t.is(refused.code, 1)
    t.regex(refused.err, /the release of the hub names them/)

    const payloads = Array.from({ length: READINGS }, (_, i) => `reading ${i}`)
    const sending = sendReadings(fleet.brokerPort, 'sensors/a', payloads)
    const accepted = async () =>
      (await fleet.ledger()).sources.filter(({ name }) => name.startsWith('f/')).reduce((sum, row) => sum + row.accepted, 0)
    for (let i = 0; i < 3; i++) {
      const at = Math.floor((i + random()) * (READINGS / 4))
      await fleet.until(async () => (await accepted()) >= at)
      await fleet.killAgent()
      await fleet.startAgent()
      if (i === 1) t.regex(await run('promote', 'f', 'test', '--delete'), /f 2 runs/)
    }
    const { acked, resent } = await sending
    await fleet.until(async () => {
      const { sources, streams } = await fleet.ledger()
      return [...sources, ...streams].every(({ waiting }) => waiting === 0)
    })
    t.is(acked.size, READINGS)

    for (const stream of ['readings', 'copies']) {
      const times = new Map<string, number>()
      for (const { body } of await fleet.events(stream)) {
        const payload = body.slice(body.indexOf(' ') + 1)
        times.set(payload, (times.get(payload) ?? 0) + 1)
      }
      const lost = payloads.filter((payload) => !times.has(payload))
      const doubled = payloads.filter((payload) => times.get(payload)! > 1 && !resent.has(payload))
      t.deepEqual({ lost, doubled }, { lost: [], doubled: [] }, stream)
    }
    const labels = (await fleet.events('readings')).map(({ body }) => body.slice(0, 3))
    t.true(labels.filter((label) => label === 'one').length > READINGS / 10)
    t.true(labels.filter((label) => label === 'two').length > READINGS / 3)
    t.is(labels.at(-1), 'two')

    const ledger = await fleet.ledger()
    t.true(ledger.sources.every(({ balanced }) => balanced))
    const aliases = JSON.parse(await run('get', 'aliases', 'f', '-o', 'json')).aliases as {
      alias: string
      version: number
      state: string
    }[]
    t.deepEqual(
      aliases.map(({ alias, version, state }) => ({ alias, version, state })),
      [{ alias: 'production', version: 2, state: 'committed' }],
    )
    t.regex(await run('get', 'routes', 'f'), /All events of f go to production/)
  },
)

test('version under an alias that keeps ending is rolled back; production goes on, and gets what waited', async (t) => {
  t.timeout(90_000)
  const fleet = await Fleet.open(t, { f: files('f', 'readings', 'one') })
  const home = fleet.writeHome()
  const source = join(fleet.folder, 'two')
  mkdirSync(source)
  // It ends by itself, soon after it is ready, and no event is to blame for that.
  const main = `setTimeout(() => process.exit(3), 300)\nexport const handler = () => { throw new Error('not yet') }`
  const broken = { ...files('f', 'readings', 'two'), 'main.mjs': main }
  for (const [name, text] of Object.entries(broken)) writeFileSync(join(source, name), text)
  t.is((await dunlin(['set', 'route', 'f', '--topic', 'sensors/test', '--alias', 'test', '--here', '--home', home])).code, 0)
  // Events come before, during and after its probation.
  let isOver = false
  const deploying = dunlin(['deploy', source, '--alias', 'test', '--wait', '--home', home]).finally(() => (isOver = true))
  const payloads: string[] = []
  for (;;) {
    if (isOver) break
    const next = Array.from({ length: 5 }, (_, i) => `reading ${payloads.length + i}`)
    await fleet.publish('sensors/test', next)
    payloads.push(...next)
  }
  await fleet.publish('sensors/other', ['another'])
  const { code, out } = await deploying
  t.is(code, 1, out)
  t.regex(out, /rolled back/)
  await fleet.until(async () => (await fleet.events('readings')).length === payloads.length + 1)
  const bodies = (await fleet.events('readings')).map(({ body }) => body).sort()
  t.deepEqual(bodies, [...payloads, 'another'].map((payload) => `one ${payload}`).sort())
  t.true((await fleet.ledger()).sources.every(({ balanced, waiting, dead }) => balanced && waiting === 0 && dead === 0))
})

import test from 'ava'
import { copyFunction } from '../support/example-functions.ts'
import { Fleet } from '../support/fleet.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { needs } from '../support/packages.ts'

const dying = (how: string) => ({
  ...copyFunction,
  'main.py': `import os, threading\n${how}\ndef handler(context, event):\n    context.emit('readings', b'bad ' + event.body)\n`,
})

needs(
  test,
  'mosquitto_pub',
  'python3',
)('version that does not start, or dies in probation, is rolled back and the one before goes on', async (t) => {
  t.timeout(120_000)
  const fleet = await Fleet.open(t, { copy: copyFunction })
  const broken = {
    'raises when it is loaded': ['raise RuntimeError("no database")', /no database/],
    'exits soon after it is ready': ['threading.Timer(0.3, lambda: os._exit(7)).start()', /exit code 7/],
  } as const
  for (const [what, [how, reason]] of Object.entries(broken)) {
    const version = await fleet.publishAndAssign({ copy: dying(how) })
    await fleet.until(async () => (await fleet.deployment('copy', version['copy']!))?.state === 'rolledback')
    t.regex((await fleet.deployment('copy', version['copy']!))!.error!, reason, what)
    await fleet.until(async () => (await fleet.deployment('copy', 1))?.ready === true)
    await sendReadings(fleet.brokerPort, 'sensors/a', [what])
    await fleet.until(async () => (await fleet.events('readings')).some(({ body }) => body === what))
  }
  await fleet.release({ copy: { ...copyFunction, 'main.py': copyFunction['main.py'].replace('event.body', "b'new ' + event.body") } })
  await sendReadings(fleet.brokerPort, 'sensors/a', ['reading'])
  await fleet.until(async () => (await fleet.events('readings')).some(({ body }) => body === 'new reading'))
  t.false((await fleet.events('readings')).some(({ body }) => body.startsWith('bad ')))
})

needs(
  test,
  'mosquitto_pub',
  'python3',
)('version that exits again and again after it was committed is rolled back, and not started again by a new agent', async (t) => {
  t.timeout(120_000)
  const fleet = await Fleet.open(t, { copy: copyFunction })
  const version = await fleet.publishAndAssign({ copy: dying('threading.Timer(4, lambda: os._exit(7)).start()') })
  const bad = async () => fleet.deployment('copy', version['copy']!)
  await fleet.until(async () => (await bad())?.state === 'committed')
  await fleet.until(async () => (await bad())?.state === 'rolledback')
  t.regex((await bad())!.error!, /crash loop: .*exit code 7/)
  await fleet.killAgent()
  await fleet.startAgent()
  await sendReadings(fleet.brokerPort, 'sensors/a', ['after all'])
  await fleet.until(async () => (await fleet.events('readings')).some(({ body }) => body === 'after all'))
})

needs(
  test,
  'mosquitto_pub',
  'python3',
)('agent killed while it deploys comes back with one whole version, and ends with the new one', async (t) => {
  t.timeout(120_000)
  const fleet = await Fleet.open(t, { copy: copyFunction })
  const version = await fleet.publishAndAssign({ copy: { ...copyFunction, 'note.txt': 'second' } })
  for (let kill = 0; kill < 3; kill++) {
    await fleet.until(async () => (await fleet.deployment('copy', version['copy']!)) !== undefined)
    await fleet.killAgent()
    await fleet.startAgent()
    await sendReadings(fleet.brokerPort, 'sensors/a', [`after kill ${kill}`])
    await fleet.until(async () => (await fleet.events('readings')).some(({ body }) => body === `after kill ${kill}`))
  }
  await fleet.until(async () => (await fleet.deployment('copy', version['copy']!))?.state === 'committed')
  const times = (await fleet.events('readings')).map(({ body }) => body)
  t.deepEqual(times.toSorted(), ['after kill 0', 'after kill 1', 'after kill 2'])
})

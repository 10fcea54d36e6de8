import test from 'ava'
import { copyFunction } from '../support/example-functions.ts'
import { Fleet } from '../support/fleet.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { needs } from '../support/packages.ts'

const EVENTS = 20_000

needs(
  test,
  'mosquitto_pub',
  'python3',
)('events of an outage are all delivered when the hub is back, and live ones do not wait behind them', async (t) => {
  t.timeout(180_000)
  // Slow enough that the backlog is still on its way when live readings come.
  const fleet = await Fleet.open(t, { copy: copyFunction }, 'export: { backlogRowsPerSecond: 2500 }')
  await fleet.killHub()
  const waiting = Array.from({ length: EVENTS }, (_, i) => `waiting ${i}`)
  for (let part = 0; part < 4; part++) {
    await sendReadings(fleet.brokerPort, 'sensors/a', waiting.slice((part * EVENTS) / 4, ((part + 1) * EVENTS) / 4))
    if (part === 0 || part === 2) {
      await fleet.killAgent()
      await fleet.startAgent()
    }
  }
  await fleet.until(async () => (await fleet.ledger()).streams[0]!.waiting === EVENTS)
  await fleet.startHub()
  await fleet.until(async () => (await fleet.streams())[0]?.stored !== undefined && (await fleet.streams())[0]!.stored > 0)

  await sendReadings(fleet.brokerPort, 'sensors/a', ['live'])
  await fleet.until(async () => (await fleet.events('readings')).some(({ body }) => body === 'live'))
  const storedAtLive = (await fleet.streams())[0]!.stored
  t.true(storedAtLive < EVENTS, `the live reading came with ${storedAtLive} of ${EVENTS} waiting ones`)

  await fleet.until(async () => (await fleet.ledger()).streams[0]!.waiting === 0)
  const events = await fleet.events('readings')
  t.deepEqual(
    events
      .filter(({ body }) => body !== 'live')
      .map(({ body }) => body)
      .sort(),
    waiting.sort(),
  )
  t.deepEqual(
    events.map(({ body, replayed }) => [body === 'live', replayed]).filter(([isLive, isReplayed]) => isLive === isReplayed),
    [],
  )
  t.deepEqual((await fleet.streams())[0]!.gaps, [])
  t.log(`live reading at the hub when ${storedAtLive} of ${EVENTS} waiting ones were`)
})

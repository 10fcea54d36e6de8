import test from 'ava'
import { copyFunction } from '../support/example-functions.ts'
import { Fleet } from '../support/fleet.ts'
import { sendReadings } from '../support/mosquitto-pub.ts'
import { needs } from '../support/packages.ts'
import { seededRandom } from '../support/random.ts'

const READINGS = 10_000

needs(
  test,
  'mosquitto_pub',
  'python3',
)('readings that were acknowledged are at the hub exactly once when the agent is killed five times and the hub twice', async (t) => {
  t.timeout(180_000)
  const seed = Math.floor(Math.random() * 2 ** 31)
  t.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const fleet = await Fleet.open(t, { copy: copyFunction })
  const payloads = Array.from({ length: READINGS }, (_, i) => `reading ${i}`)
  const sending = sendReadings(fleet.brokerPort, 'sensors/a', payloads)

  // Each kill comes at a random number of accepted readings, so that they are spread over the whole run.
  const kills = Array.from({ length: 7 }, (_, i) => Math.floor((i + random()) * (READINGS / 8))).sort((a, b) => a - b)
  for (const [i, at] of kills.entries()) {
    await fleet.until(async () => (await fleet.ledger()).sources[0]!.accepted >= at)
    if (i === 2 || i === 5) {
      await fleet.killHub()
      await fleet.startHub()
    } else {
      await fleet.killAgent()
      await fleet.startAgent()
    }
  }
  const { acked, resent } = await sending
  await fleet.until(async () => {
    const { sources, streams } = await fleet.ledger()
    return sources[0]!.waiting === 0 && streams[0]!.waiting === 0
  })

  t.is(acked.size, READINGS)
  const times = new Map<string, number>()
  const events = await fleet.events('readings')
  for (const { body } of events) times.set(body, (times.get(body) ?? 0) + 1)
  const lost = payloads.filter((payload) => !times.has(payload))
  const doubled = payloads.filter((payload) => times.get(payload)! > 1 && !resent.has(payload))
  const unexpected = [...times.keys()].filter((body) => !payloads.includes(body))
  t.deepEqual({ lost, doubled, unexpected }, { lost: [], doubled: [], unexpected: [] })

  const { sources, streams } = await fleet.ledger()
  for (const row of [...sources, ...streams]) t.true(row.balanced, row.name)
  const [stream] = await fleet.streams()
  t.deepEqual(stream!.gaps, [])
  t.is(stream!.contiguousSeq, stream!.maxSeq)
  t.is(stream!.stored, events.length)
  t.log(`${events.length} events at the hub, ${resent.size} sent twice by the client itself`)
})

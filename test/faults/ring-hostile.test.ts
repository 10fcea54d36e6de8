/** U19: a worker that abuses its shared memory is ended; its event comes again, the agent reads nothing outside and goes on. */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import test from 'ava'
import { useCrashGuest } from '../support/guests/crash-guest.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What the agent says of each; a worker that only harms itself is ended by its event's time-out. */
const ATTACKS = {
  'wrong-size': /Cannot read the ring/,
  'wrong-length': /Cannot read the ring/,
  'wrong-index': /Cannot read the ring/,
  'odd-index': /Cannot read the ring/,
  'wrong-kind': /Cannot read the ring/,
  'wrong-magic': /did not answer/,
  'agents-indices': /Cannot (write to|read) the ring|did not answer/,
  'flags-for-ever': /did not answer/,
  'random-everywhere': /Cannot (write to|read) the ring/,
  truncates: /did not answer/,
  'writes-past': /did not answer/,
  'stops-reading': /did not answer/,
  'body-out-of-place': /Cannot take a body/,
} as const

for (const [attack, expected] of Object.entries(ATTACKS)) {
  needs(test.serial, 'python3')(`worker whose attack on its memory is ${attack} is ended, and the agent goes on`, async (t) => {
    const directory = tempDir(t)
    const rig = await ProcessorRig.open(directory)
    t.teardown(() => rig.close())
    const spec = `metadata: { name: f }
spec:
${useCrashGuest(t, directory, attack)}
  eventTimeout: 400ms
  retry: { first: 1ms, max: 1s }
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`
    const version = rig.version(spec, {})
    await rig.processor.activate(version)
    const pid = readFileSync(path.join(version.directory, 'pid'), 'utf8')
    // More than a ring holds lie behind it: a worker that stops reading holds up nobody but itself.
    const bodies = ['before', 'crash', ...Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(50_000)}`)]
    await Promise.all(bodies.map((body) => rig.publish('in/1', body)))
    await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === bodies.length)
    const rows = await rig.rows('out')
    t.deepEqual(
      rows.map((row) => row.replace(/ \d+$/, '')),
      bodies,
    )
    t.is(rows[1], 'crash 2')
    t.false(existsSync(`/proc/${pid}/exe`), 'the worker is gone')
    t.true(
      rig.logs.some(({ message }) => expected.test(message)),
      rig.logs.map(({ message }) => message).join('\n'),
    )
    if (attack === 'truncates') t.is(readFileSync(path.join(version.directory, 'refused'), 'utf8'), 'xx')
    if (attack === 'writes-past') t.is(readFileSync(path.join(version.directory, 'refused'), 'utf8'), 'x')
    t.like((await rig.store.ledger()).sources[0]!, { accepted: bodies.length, dead: 0, waiting: 0, balanced: true })
  })
}

/**
 * kill -9 of a worker at every crash point of the protocol (docs/ring.md), on a real store: the event is given again, counted where it had
 * been begun, and what is in the streams, the state and the ledger is as if nothing had happened.
 */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import test, { type ExecutionContext } from 'ava'
import { useCrashGuest } from '../support/guests/crash-guest.ts'
import { forEachKind } from '../support/guests/for-each-guest.ts'
import { fixtureVersion } from '../support/guests/guest-kinds.ts'
import { needs } from '../support/packages.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const TRIGGER = `  retry: { first: 1ms, max: 1s }
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'in/#', qos: 1 }] } }`

async function withRig(t: ExecutionContext, run: (rig: ProcessorRig, directory: string) => Promise<void>): Promise<void> {
  const directory = tempDir(t)
  const rig = await ProcessorRig.open(directory)
  try {
    await run(rig, directory)
  } finally {
    await rig.close()
  }
  t.deepEqual(bodyDirectories(), [], 'no body of a dead worker is left behind')
}

const bodyDirectories = (): string[] => readdirSync('/dev/shm').filter((name) => name.includes(`-${process.pid}-`))

async function settled(rig: ProcessorRig, count: number): Promise<void> {
  await rig.until(async () => (await rig.store.ledger()).sources[0]?.delivered === count)
}

/** What the attempts of the event `crash` are worth at each point: 2, it had been begun and comes again; 1, it was not begun, or was done. */
const POINTS = {
  'before-ready': 1,
  'ready-published': 1,
  'event-taken': 2,
  'event-not-released': 2,
  'state-asked': 2,
  'half-record': 2,
  'half-body': 2,
  'operations-sent': 2,
  'large-operation-sent': 2,
  'result-published': 1,
  'result-rung': 1,
  'stop-read': 1,
} as const

for (const [point, attempt] of Object.entries(POINTS)) {
  needs(test.serial, 'python3')(`worker killed at ${point} loses no event and doubles none`, async (t) => {
    await withRig(t, async (rig, directory) => {
      const spec = `metadata: { name: f }\nspec:\n${useCrashGuest(t, directory, point)}\n${TRIGGER}`
      await rig.processor.adopt(rig.version(spec, {}))
      await Promise.all(['before', 'crash', 'after'].map((body) => rig.publish('in/1', body)))
      await settled(rig, 3)
      const rows = await rig.rows('out')
      // Of a worker that was ready and had an event, the agent cannot know that it had not begun it.
      t.regex(rows[0]!, point === 'ready-published' ? /^before [12]$/ : /^before 1$/)
      t.is(rows[1], `crash ${attempt}`)
      // Once `crash` is answered, the next event of the worker counts as begun: the agent cannot know that it was not.
      t.true(rows.length === 3 && /^after [12]$/.test(rows[2]!), rows[2])
      if (!point.startsWith('result-')) t.is(rows[2], 'after 1')
      t.deepEqual(
        rig.published.filter(({ topic }) => topic === 'told').map(({ body }) => body),
        ['before', 'crash', 'after'],
      )
      t.deepEqual(await rig.rows('large'), [])
      const { restarts } = rig.processor.status()[0]!.workers
      await rig.processor.deactivate('f', 1000)
      const { sources, streams } = await rig.store.ledger()
      t.like(sources[0]!, { accepted: 3, delivered: 3, waiting: 0, dead: 0, balanced: true })
      t.true(streams.every(({ balanced }) => balanced))
      t.is(restarts, point === 'stop-read' || point === 'before-ready' ? 0 : 1)
    })
  })
}

forEachKind('that dies in an event, after it has emitted, is given it again, and its neighbours are not counted', async (t, kind) => {
  await withRig(t, async (rig, directory) => {
    await rig.processor.activate(fixtureVersion(kind, path.join(directory, 'f'), 'fixture', TRIGGER))
    const steps = [
      'emit out before',
      'attempt out\nemit out crash\nset k crash\npublish told crash\ndie\nemit out more',
      'get k\nemit out after',
    ]
    const neighbours = Array.from({ length: 20 }, (_, i) => rig.publish(`in/n${i}`, `emit other ${i}\nattempt attempts`))
    await Promise.all([...steps.map((body) => rig.publish('in/1', body)), ...neighbours])
    await settled(rig, 23)
    t.deepEqual(await rig.rows('out'), ['before', '2', 'crash', 'more', 'after'])
    t.deepEqual(
      (await rig.rows('other')).map(Number).sort((a, b) => a - b),
      [...neighbours.keys()],
    )
    t.deepEqual(new Set(await rig.rows('attempts')), new Set(['1']))
    t.deepEqual(
      rig.published.filter(({ topic }) => topic === 'told').map(({ body }) => body),
      ['crash'],
    )
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 23, delivered: 23, waiting: 0, dead: 0, balanced: true })
    t.is((await rig.invoke('fixture', 'get k')).body.toString(), 'crash')
  })
})

forEachKind('that dies at every attempt goes to the dead letters after maxAttempts, and the next event is handled', async (t, kind) => {
  await withRig(t, async (rig, directory) => {
    await rig.processor.activate(fixtureVersion(kind, path.join(directory, 'f'), 'fixture', `  maxAttempts: 2\n${TRIGGER}`))
    await Promise.all([rig.publish('in/1', 'emit out never\ndie always'), rig.publish('in/1', 'emit out next')])
    await rig.until(async () => (await rig.rows('out')).length > 0)
    t.deepEqual(await rig.rows('out'), ['next'])
    await settled(rig, 1)
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 2, delivered: 1, dead: 1, waiting: 0, balanced: true })
  })
})

forEachKind('that dies in its init is started again, and what waited for it is handled once', async (t, kind) => {
  await withRig(t, async (rig, directory) => {
    await rig.processor.adopt(fixtureVersion(kind, path.join(directory, 'f'), 'init-dies', TRIGGER))
    await Promise.all(['1', '2', '3'].map((number) => rig.publish('in/1', `emit out ${number}\nattempt attempts`)))
    await settled(rig, 3)
    t.deepEqual(await rig.rows('out'), ['1', '2', '3'])
    t.deepEqual(await rig.rows('attempts'), ['1', '1', '1'])
  })
})

forEachKind('that dies in its drain callback keeps what it has answered', async (t, kind) => {
  await withRig(t, async (rig, directory) => {
    await rig.processor.activate(fixtureVersion(kind, path.join(directory, 'f'), 'drain-dies', TRIGGER))
    await Promise.all(['1', '2', '3'].map((number) => rig.publish('in/1', `emit out ${number}`)))
    await rig.processor.deactivate('drain-dies', 2000)
    await rig.processor.adopt(fixtureVersion(kind, path.join(directory, 'g'), 'drain-dies', TRIGGER))
    await settled(rig, 3)
    t.deepEqual(await rig.rows('out'), ['1', '2', '3'])
    t.like((await rig.store.ledger()).sources[0]!, { accepted: 3, delivered: 3, waiting: 0, balanced: true })
  })
})

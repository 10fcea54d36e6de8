/** cron and kickstart with a real store, real workers and the real clock. */
import test from 'ava'
import { tempDir } from '../support/temp-dir.ts'
import { withRig } from '../support/with-rig.ts'

const spec = (trigger: string, name = 'f') => `
metadata: { name: ${name} }
spec:
  runtime: nodejs
  handler: main:handler
  triggers:
    t: ${trigger}`

const emitting = (what: string) => ({ 'main.mjs': `export const handler = (context, event) => context.emit('out', ${what})` })

test.serial('cron event tells when it was due', withRig, async (t, rig) => {
  const trigger = `{ kind: cron, attributes: { schedule: '* * * * * *', event: { headers: { a: b } } } }`
  await rig.processor.activate(
    rig.version(spec(trigger), emitting(`event.topic + event.headers.a + event.headers['x-dunlin-scheduled-time']`)),
  )
  await rig.until(async () => (await rig.rows('out')).length >= 2)
  const [first, second] = await rig.rows('out')
  t.regex(first!, /^tb\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  t.is(Date.parse(second!.slice(2)) - Date.parse(first!.slice(2)), 1_000)
  await rig.until(async () => (await rig.store.getValue('cron/f/t')) !== undefined)
  t.regex((await rig.store.getValue('cron/f/t'))!, / \* \* \* \* \* \*$/)
})

test.serial('cron catchUp last makes up for one run after a restart, and marks it', withRig, async (t, rig) => {
  const schedule = '0 0 1 * *'
  await rig.store.setValue('cron/f/t', `2026-01-02T00:00:00.000Z ${schedule}`)
  const trigger = `{ kind: cron, attributes: { schedule: '${schedule}', timezone: UTC, catchUp: last } }`
  await rig.processor.activate(
    rig.version(spec(trigger), emitting(`event.headers['x-dunlin-scheduled-time'] + event.headers['x-dunlin-catch-up']`)),
  )
  await rig.until(async () => (await rig.rows('out')).length === 1)
  const last = `${new Date().toISOString().slice(0, 7)}-01T00:00:00.000Z`
  t.deepEqual(await rig.rows('out'), [`${last}true`])
  await rig.until(async () => (await rig.store.getValue('cron/f/t')) === `${last} ${schedule}`)
  await rig.processor.deactivate('f', 1_000)
  await rig.processor.activate(rig.version(spec(trigger), emitting(`'again'`)))
  t.is((await rig.rows('out')).length, 1)
})

test.serial('cron mark of another schedule makes nothing up', withRig, async (t, rig) => {
  await rig.store.setValue('cron/f/t', '2026-01-02T00:00:00.000Z 0 0 * * *')
  const trigger = `{ kind: cron, attributes: { schedule: '0 0 1 * *', catchUp: all } }`
  await rig.processor.activate(rig.version(spec(trigger), emitting(`'late'`)))
  await rig.invoke('f', '')
  t.is((await rig.rows('out')).length, 1)
})

test.serial('cron run that has not ended holds the next ones back', withRig, async (t, rig) => {
  const trigger = `{ kind: cron, attributes: { interval: 100ms } }`
  // Holds its first event until the gate's file is there.
  const gate = `${tempDir(t)}/open`
  const source = `import { existsSync } from 'node:fs'
    export const handler = async (context) => {
      while (!existsSync(${JSON.stringify(gate)})) await new Promise((resolve) => setTimeout(resolve, 10))
      context.emit('out', 'ran')
    }`
  await rig.processor.activate(rig.version(spec(trigger), { 'main.mjs': source }))
  const received = () => rig.processor.status()[0]!.triggers[0]!.received
  await rig.until(() => received() === 1)
  const since = performance.now()
  await rig.until(() => performance.now() - since > 600)
  t.is(received(), 1)
  const { writeFileSync } = await import('node:fs')
  writeFileSync(gate, '')
  await rig.until(() => received() >= 3)
  t.is(rig.processor.status()[0]!.triggers[0]!.failed, 0)
})

test.serial('cron concurrencyPolicy Allow gives events while others run', withRig, async (t, rig) => {
  const trigger = `{ kind: cron, attributes: { interval: 100ms, concurrencyPolicy: Allow } }`
  const source = `let running = 0
    export const handler = async (context) => {
      running++
      while (running < 3) await new Promise((resolve) => setTimeout(resolve, 10))
      context.emit('out', 'three at once')
    }`
  await rig.processor.activate(rig.version(spec(trigger), { 'main.mjs': source }))
  await rig.until(async () => (await rig.rows('out')).length > 0)
  t.pass()
})

test.serial('kickstart gives its event once at each start', withRig, async (t, rig) => {
  const trigger = `{ kind: kickstart, attributes: { event: { body: go, headers: { a: b } } } }`
  await rig.processor.activate(rig.version(spec(trigger), emitting(`event.body + event.headers.a + event.trigger.kind`)))
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), ['gobkickstart'])
  // A new version is a new start, also when its trigger is the same.
  await rig.processor.activate(rig.version(spec(trigger), emitting(`'second'`)))
  await rig.until(async () => (await rig.rows('out')).length === 2)
  t.is((await rig.rows('out'))[1], 'second')
})

test.serial('kickstart per version gives its event once for a version, over restarts', withRig, async (t, rig) => {
  const trigger = `{ kind: kickstart, attributes: { per: version } }`
  const first = rig.version(spec(trigger), emitting(`'first'`))
  await rig.processor.activate(first)
  await rig.until(async () => (await rig.store.getValue('kickstart/f/t')) === first.version)
  await rig.processor.deactivate('f', 1_000)
  await rig.processor.adopt(first)
  await rig.processor.activate(rig.version(spec(trigger), emitting(`'second'`)))
  await rig.until(async () => (await rig.rows('out')).includes('second'))
  t.deepEqual(await rig.rows('out'), ['first', 'second'])
})

/** What is called by name: functions without a trigger, and what their answers may be. */
import test from 'ava'
import { withRig } from '../support/with-rig.ts'

const named = (name: string) => `metadata: { name: ${name} }\nspec: { runtime: nodejs, outputStream: answers }`

test('function without a trigger is called by name, by other functions too, and listens nowhere', withRig, async (t, rig) => {
  await rig.processor.activate(
    rig.version(named('quiet'), { 'main.mjs': `export const handler = (context, event) => context.trigger.kind + ' ' + event.body` }),
  )
  await rig.processor.activate(
    rig.version(named('asking'), {
      'main.mjs': `export const handler = async (context, event) => (await context.platform.call_function('quiet', event.body)).body`,
    }),
  )
  t.like(await rig.invoke('quiet', 'one'), { status: 200, body: Buffer.from('http one') })
  t.like(await rig.invoke('asking', 'two'), { status: 200, body: Buffer.from('http two') })
  t.deepEqual(await rig.rows('answers'), ['http one', 'http two', 'http two'])
  t.is(rig.http.address, undefined)
  t.deepEqual(
    rig.processor.status().map(({ triggers }) => triggers.map(({ name }) => name)),
    [['calls'], ['calls']],
  )
})

test('function that loses its triggers can still be called, and gets them again', withRig, async (t, rig) => {
  const files = { 'main.mjs': `export const handler = (context) => context.trigger.name` }
  const withCron = `${named('f').replace('spec: {', "spec: { triggers: { night: { kind: cron, attributes: { schedule: '0 3 * * *' } } },")}`
  for (const [spec, trigger] of [
    [withCron, 'night'],
    [named('f'), 'calls'],
    [withCron, 'night'],
  ] as const) {
    await rig.processor.activate(rig.version(spec, files))
    t.is((await rig.invoke('f', '')).body.toString(), trigger)
  }
})

test(
  'JavaScript handler whose file speaks of context.callback in a comment answers by returning, also nothing',
  withRig,
  async (t, rig) => {
    const source = `/* context.callback is another way */\n// context.callback(1)\nexport const handler = () => {}\n`
    await rig.processor.activate(rig.version(named('f'), { 'main.mjs': source }))
    t.is((await rig.invoke('f', '')).status, 200)
  },
)

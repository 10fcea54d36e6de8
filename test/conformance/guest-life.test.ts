/** How every guest starts, stops and ends: each test has a worker of its own. */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { Tag } from '../../runtime/event/record.ts'
import { DrivenWorker } from '../support/guests/driven-worker.ts'
import { forEachKind } from '../support/guests/for-each-guest.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Answered within the call, also where handlers are asynchronous. */
const ECHO = { head: [[Tag.path, '/echo', '']] } as const

forEachKind('whose init throws is not started and says why', async (t, kind) => {
  const driven = await DrivenWorker.make(t, kind, 'init-fails')
  const error = await t.throwsAsync(driven.worker.start(), { code: 'init-failed' })
  t.regex(error.message, /init has failed/)
  t.regex(error.stack ?? '', /fixture/i)
  await driven.ended
})

forEachKind('says whether it handles one event after the other', async (t, kind) => {
  const { worker } = await DrivenWorker.start(t, kind)
  t.is(worker.isSequential, kind.isSequential)
  await worker.stop(2000)
})

forEachKind('on STOP answers what it has, calls its drain and termination callbacks, and ends within 2 s', async (t, kind) => {
  const driven = await DrivenWorker.start(t, kind)
  const answers = Array.from({ length: 50 }, (_, i) => driven.post(`get none\nemit out ${i}`))
  const large = driven.post(Buffer.alloc(2 << 20, 5), ECHO)
  driven.worker.flush()
  const from = performance.now()
  await driven.worker.stop(2000)
  t.true(performance.now() - from < 2000)
  for (const [i, answer] of (await Promise.all(answers)).entries()) t.is(answer.operations[0]!.body.toString(), String(i))
  t.is((await large).body.length, 2 << 20)
  const { error, blamed, innocent } = await driven.ended
  t.notRegex(error.message, /did not stop/)
  t.deepEqual([...blamed, ...innocent], [])
  t.deepEqual(driven.lines, ['drained', 'terminated'])
})

forEachKind('that never comes back is killed when its grace is over, and its events are given back', async (t, kind) => {
  const driven = await DrivenWorker.start(t, kind)
  const spinning = driven.call('log info in\nspin')
  await driven.until(() => driven.lines.includes('in') || !kind.isProcess)
  const waiting = driven.post('get none')
  await driven.worker.stop(100)
  await t.throwsAsync(spinning)
  await t.throwsAsync(waiting)
  const { blamed, innocent } = await driven.ended
  t.deepEqual([...blamed, ...innocent], ['log info in\nspin', 'get none'])
})

forEachKind('that is over its event time-out is killed, and nobody else is blamed', async (t, kind) => {
  const driven = await DrivenWorker.start(t, kind, 'fixture', { eventTimeoutMs: 300 })
  await t.throwsAsync(driven.call('spin'), { code: 'event-timeout' })
  t.deepEqual((await driven.ended).blamed, ['spin'])
})

forEachKind('that ends in the middle of an event gives it back, and keeps what it has answered before', async (t, kind) => {
  const driven = await DrivenWorker.start(t, kind)
  const first = driven.post('1', ECHO)
  const second = driven.post('emit out 2\ndie')
  driven.worker.flush()
  await t.throwsAsync(second, { code: 'worker-exited' })
  t.is((await first).text, '1')
  const { blamed, innocent } = await driven.ended
  t.deepEqual([...blamed, ...innocent], ['emit out 2\ndie'])
})

forEachKind('under a log level says nothing of what lies below', async (t, kind) => {
  const quiet = await DrivenWorker.start(t, kind, 'fixture', {}, 'warn')
  await quiet.run('log debug 1', 'log info 2', 'log warn 3', 'log error 4')
  t.deepEqual(quiet.lines, ['3', '4'])
})

forEachKind(
  'asks once for state that only it changes, and again after an event came a second time',
  async (t, kind) => {
    const driven = await DrivenWorker.start(t, kind, 'fixture', { stateExclusive: true })
    await driven.run('get k', 'set k 1')
    t.is((await driven.run('get k', 'set k 2')).text, '1')
    t.is((await driven.run('set k 3', 'raise after')).status, 500)
    t.is((await driven.run('get k')).text, '2')
    t.deepEqual(driven.asked, ['k'])
    // Its outcome was not committed, whatever it answered.
    driven.state.set('k', Buffer.from('\x01"other"'))
    t.is((await driven.call('get k', { attempt: 2 })).text, 'other')
  },
  ({ name }) => !name.startsWith('nodejs'),
)

forEachKind('busy with a slow event does not hold back the answer to a quick one', async (t, kind) => {
  const gate = path.join(tempDir(t), 'go')
  const driven = await DrivenWorker.start(t, kind)
  const quick = driven.post('1', ECHO)
  const slow = driven.post(`wait ${gate}`)
  driven.worker.flush()
  t.is((await quick).text, '1')
  t.false(existsSync(gate))
  writeFileSync(gate, '')
  t.is((await slow).status, 200)
})

for (const [what, ticket] of [
  ['answers an event twice', 'own'],
  ['answers for an event it does not have', '4711'],
] as const) {
  forEachKind(
    `that ${what} is ended, and the agent goes on`,
    async (t, kind) => {
      const driven = await DrivenWorker.start(t, kind)
      const answered = driven.post(`forge ${ticket}`)
      driven.worker.flush()
      const { error } = await driven.ended
      t.regex(error.message, /broke the protocol: answer for event/)
      await answered.catch(() => {})
    },
    ({ forges }) => forges,
  )
}

import test from 'ava'
import { spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'
import { silentLogger } from '../../runtime/base/log.ts'
import { connectStore } from '../../runtime/store/store-client.ts'
import { accept, openTestStore, settle, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const CHILD = path.join(import.meta.dirname, '../support/store-child.ts')
const REPORT = { epoch: 'e', created: true, damage: null }

/** A store thread that opens and dies at the first thing it is asked. */
const DYING_THREAD = `
  const { parentPort } = require('node:worker_threads')
  parentPort.postMessage({ kind: 'opened', boot: 1, report: ${JSON.stringify(REPORT)} })
  parentPort.once('message', () => { throw new Error('thread bug') })
`

test('store whose thread dies gives everything that waits the cause, says so once, and closes', async (t) => {
  const fatal: Error[] = []
  const worker = new Worker(DYING_THREAD, { eval: true })
  const store = await connectStore(worker, { commitIntervalMs: 0, logger: silentLogger, onFatal: (error) => fatal.push(error) })
  const waiting = await Promise.allSettled([
    accept(store, 1, Buffer.from('a')),
    settle(store, 1, 5),
    store.ledger(),
    store.setValue('k', 'v'),
    store.readInbox(1, 0, 1, 1),
    store.flush(),
  ])
  for (const answer of waiting) t.like(answer, { status: 'rejected', reason: { code: 'store-failed', cause: { message: 'thread bug' } } })
  t.is(fatal.length, 1)
  await t.throwsAsync(accept(store, 1, Buffer.from('b')), { code: 'store-failed' })
  await t.throwsAsync(store.getValue('k'), { code: 'store-failed' })
  await store.close()
})

test('store whose thread never opens rejects with the cause', async (t) => {
  const worker = new Worker('throw new Error("no start")', { eval: true })
  await t.throwsAsync(connectStore(worker, { commitIntervalMs: 0, logger: silentLogger }), { code: 'store-failed' })
})

test('store told of a failed disk answers what was in flight and what was gathered with the error', async (t) => {
  const sent: { kind: string }[] = []
  const port = Object.assign(new EventEmitter(), { postMessage: (message: { kind: string }) => void sent.push(message) })
  const opening = connectStore(port, { commitIntervalMs: 0, logger: silentLogger })
  port.emit('message', { kind: 'opened', boot: 1, report: REPORT })
  const store = await opening
  const inFlight = accept(store, 1, Buffer.from('a'))
  const flushed = store.flush()
  const gathered = accept(store, 1, Buffer.from('b'))
  t.deepEqual(
    sent.map((message) => message.kind),
    ['batch'],
  )
  port.emit('message', { kind: 'fatal', error: { code: 'store-failed', message: 'Cannot sync', retryable: false, hint: undefined } })
  for (const waiting of [inFlight, gathered, flushed]) await t.throwsAsync(waiting, { code: 'store-failed', message: 'Cannot sync' })
})

test('store whose disk refuses a write fails for good, keeps nothing more, and has all it acknowledged at the next start', async (t) => {
  const dir = tempDir(t)
  // A file size limit gives EFBIG, which SQLite reports as an I/O error, not as a full disk.
  const child = spawn('prlimit', ['--fsize=6000000', process.execPath, CHILD, dir, 'fill'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  t.is(code, 0)
  const said = JSON.parse(text) as { acknowledged: number; code: string; later: string; fatal: number }
  t.like(said, { code: 'store-failed', later: 'store-failed', fatal: 1 })
  t.true(said.acknowledged > 5)
  const store = await openTestStore(t, dir)
  t.is(store.report.damage, null)
  // The event whose commit failed was answered with an error; whether its pages reached the disk nobody knows.
  const kept = (await wholeInbox(store, await store.openSource('s'))).length
  t.true(kept === said.acknowledged || kept === said.acknowledged + 1, `${kept} kept, ${said.acknowledged} acknowledged`)
})

import test from 'ava'
import type { ExecutionContext } from 'ava'
import Database from 'better-sqlite3'
import fs from 'node:fs'
import path from 'node:path'
import { PAGE_BYTES } from '../../runtime/store/limits.ts'
import type { StoreClient } from '../../runtime/store/store-client.ts'
import { accept, bury, MiB, openTestStore, settle, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const EVENTS = 600
const ROWS = 200
const PAGE = PAGE_BYTES

/** A closed store with events waiting, stream rows, state, a value and a dead letter; returns its queue.db. */
async function filledStore(t: ExecutionContext): Promise<{ dir: string; file: string; epoch: string }> {
  const dir = tempDir(t)
  const store = await openTestStore(t, dir)
  const source = await store.openSource('s')
  const stream = await store.openStream('out')
  const fn = await store.openFunction('f')
  await Promise.all(Array.from({ length: EVENTS }, (_, i) => accept(store, source, Buffer.alloc(300, i % 251))))
  await Promise.all(Array.from({ length: ROWS }, () => settle(store, source, 0, [[stream, Buffer.alloc(300, 1)]])))
  store.begin(source, 0)
  store.setState(fn, 'k', Buffer.from('v'))
  store.end(null)
  await bury(store, source, 0, Buffer.from('dead'))
  await store.setValue('deployment', '7')
  await store.releaseStream(stream, 1, 50)
  await store.close()
  return { dir, file: path.join(dir, 'queue.db'), epoch: store.report.epoch }
}

async function counts(store: StoreClient) {
  const inbox = await wholeInbox(store, await store.openSource('s'))
  const stream = await store.readStream(await store.openStream('out'), 1, 1e9, 1e6, 1024 * MiB)
  return { inbox, stream }
}

/** What holds after any damage: the file is kept, the epoch is new, the ledger balances and counts what came over, and work goes on. */
async function assertRecovered(t: ExecutionContext, store: StoreClient, epoch: string, what: string): Promise<void> {
  const { report } = store
  t.is(report.damage?.what, what as never)
  t.is(report.damage?.previousEpoch, epoch)
  t.not(report.epoch, epoch)
  const { inbox, stream } = await counts(store)
  t.deepEqual([report.damage?.salvaged.inbox, report.damage?.salvaged.streams], [inbox.length, stream.length])
  const { sources, streams } = await store.ledger()
  for (const row of [...sources, ...streams]) t.true(row.balanced, row.name)
  t.like(sources[0], { salvaged: inbox.length, waiting: inbox.length, lastSeq: inbox.length })
  t.like(streams[0], { salvaged: stream.length, waiting: stream.length, epoch: report.epoch })
  t.true(await settle(store, await store.openSource('s'), await accept(store, await store.openSource('s'), Buffer.from('new'))))
}

function overwrite(file: string, at: number, bytes: Buffer): void {
  const fd = fs.openSync(file, 'r+')
  fs.writeSync(fd, bytes, 0, bytes.length, at)
  fs.closeSync(fd)
}

/** The last leaf page of a table: losing it loses rows and nothing else. */
function leafOf(file: string, table: string): number {
  const db = new Database(file, { readonly: true })
  try {
    const pages = db.prepare("SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path").pluck().all(table) as number[]
    return pages[Math.floor(pages.length / 2)]!
  } finally {
    db.close()
  }
}

test('store with a zeroed page in its inbox carries over the rows on both sides of it and counts the others as lost', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  overwrite(file, (leafOf(file, 'inbox') - 1) * PAGE, Buffer.alloc(PAGE))
  const store = await openTestStore(t, dir)
  await assertRecovered(t, store, epoch, 'corrupt')
  const { salvaged, lost, keptAs } = store.report.damage!
  t.true(salvaged.inbox >= EVENTS - 20 && salvaged.inbox < EVENTS, String(salvaged.inbox))
  t.is(lost, EVENTS - salvaged.inbox)
  t.like(salvaged, { streams: ROWS - 50, deadLetters: 1, state: 1, values: 1 })
  t.true(fs.existsSync(keptAs!))
  t.is(await store.getValue('deployment'), '7')
  t.is((await store.getState(await store.openFunction('f'), 'k'))?.toString(), 'v')
  await store.close()
  const again = await openTestStore(t, dir)
  t.is(again.report.damage, null)
})

test('store cut short carries over what still reads', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  fs.truncateSync(file, Math.floor(fs.statSync(file).size / 2 / PAGE) * PAGE + 100)
  const store = await openTestStore(t, dir)
  await assertRecovered(t, store, epoch, 'corrupt')
  t.true(fs.existsSync(store.report.damage!.keptAs!))
})

test('store with a garbage header is kept aside and starts anew', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  overwrite(file, 0, Buffer.from('not a database at all, sorry!'))
  const garbage = fs.readFileSync(file)
  const store = await openTestStore(t, dir)
  t.like(store.report.damage, { what: 'corrupt', previousEpoch: epoch, salvaged: { inbox: 0 }, lost: null })
  t.deepEqual(fs.readFileSync(store.report.damage!.keptAs!), garbage)
  await accept(store, await store.openSource('s'), Buffer.from('new'))
})

test('store with a zeroed header is kept aside and starts anew', async (t) => {
  const { dir, file } = await filledStore(t)
  overwrite(file, 0, Buffer.alloc(PAGE))
  const store = await openTestStore(t, dir)
  t.is(store.report.damage?.what, 'corrupt')
})

test('store of 0 bytes is not taken for an empty one', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  fs.truncateSync(file)
  const store = await openTestStore(t, dir)
  t.like(store.report.damage, { what: 'empty', previousEpoch: epoch })
  t.not(store.report.epoch, epoch)
})

test('store that is gone is not taken for an empty one', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  fs.rmSync(file)
  const store = await openTestStore(t, dir)
  t.like(store.report.damage, { what: 'missing', previousEpoch: epoch, keptAs: null })
})

test('store replacement that a power cut interrupted is finished by the next start', async (t) => {
  const { dir, file, epoch } = await filledStore(t)
  fs.copyFileSync(file, `${file}.ready`)
  fs.renameSync(file, `${file}.corrupt-before`)
  const store = await openTestStore(t, dir)
  t.is(store.report.epoch, epoch)
  t.is((await counts(store)).inbox.length, EVENTS)
  t.false(fs.existsSync(`${file}.ready`))
})

test('store with another database beside it as WAL stays sound or says what happened', async (t) => {
  const { dir, file } = await filledStore(t)
  fs.writeFileSync(`${file}-wal`, Buffer.alloc(40_000, 7))
  const store = await openTestStore(t, dir)
  t.is((await counts(store)).inbox.length, EVENTS)
})

test('store damaged while it runs fails, and the next start finds the damage in a large file too', async (t) => {
  const dir = tempDir(t)
  const first = await openTestStore(t, dir)
  const source = await first.openSource('s')
  await Promise.all(Array.from({ length: 40 }, (_, i) => accept(first, source, Buffer.alloc(300_000, i))))
  await first.close()
  const file = path.join(dir, 'queue.db')
  t.true(fs.statSync(file).size > 8 * MiB)
  overwrite(file, (leafOf(file, 'inbox') - 1) * PAGE, Buffer.alloc(PAGE))
  let fatal: Error | undefined
  const second = await openTestStore(t, dir, { onFatal: (error) => (fatal = error) })
  if (second.report.damage === null) {
    await t.throwsAsync(wholeInbox(second, source), { code: 'store-failed' })
    t.truthy(fatal)
    await second.close()
    const third = await openTestStore(t, dir)
    t.is(third.report.damage?.what, 'corrupt')
    t.true(third.report.damage!.salvaged.inbox > 0)
    t.true((await third.ledger()).sources[0]!.balanced)
  } else t.is(second.report.damage.what, 'corrupt')
})

test('store with random bytes flipped always opens, keeps the damaged file and balances', async (t) => {
  t.timeout(110_000)
  const { dir, file } = await filledStore(t)
  const sound = fs.readFileSync(file)
  const seed = Number(process.env['DUNLIN_SEED'] ?? 4711)
  t.log(`DUNLIN_SEED=${seed}`)
  let x = seed
  const next = (below: number) => (x = (Math.imul(x, 1103515245) + 12345) & 0x7fffffff) % below
  for (let round = 0; round < 20; round++) {
    const bytes = Buffer.from(sound)
    for (let flip = 0; flip < 20; flip++) bytes[next(bytes.length)]! ^= 1 << next(8)
    fs.writeFileSync(file, bytes)
    for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true })
    const store = await openTestStore(t, dir)
    const { sources, streams } = await store.ledger()
    if (store.report.damage !== null) {
      t.true(fs.existsSync(store.report.damage.keptAs!))
      for (const row of [...sources, ...streams])
        t.true(row.balanced, `round ${round}: ${JSON.stringify(row)} ${JSON.stringify(store.report)}`)
    }
    const source = await store.openSource('s')
    await accept(store, source, Buffer.from('x'))
    await store.close()
  }
})

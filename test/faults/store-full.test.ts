import test from 'ava'
import type { ExecutionContext } from 'ava'
import fs from 'node:fs'
import path from 'node:path'
import type { StoreClient } from '../../runtime/store/store-client.ts'
import { accept, bury, MiB, openTestStore, settle, wholeInbox } from '../support/store-rig.ts'
import { needs } from '../support/packages.ts'
import { hogDisk, mountSmallDisk } from '../support/small-disk.ts'
import { tempDir } from '../support/temp-dir.ts'

const RECORD = Buffer.alloc(1000, 5)
const BURST = 50

/** Offers events until one is refused; returns the ids that were acknowledged. */
async function fill(t: ExecutionContext, store: StoreClient, source: number, mostBytes: number): Promise<number[]> {
  const kept: number[] = []
  for (let offered = 0; offered < mostBytes; offered += BURST * RECORD.length) {
    const answers = await Promise.allSettled(Array.from({ length: BURST }, () => accept(store, source, RECORD)))
    for (const answer of answers) {
      if (answer.status === 'fulfilled') kept.push(answer.value)
      else t.like(answer.reason, { code: 'store-full', retryable: true })
    }
    if (answers.some((answer) => answer.status === 'rejected')) return kept
  }
  t.fail('the store never was full')
  return kept
}

/** Everything waiting can be ended and released although nothing can be accepted. */
async function drain(t: ExecutionContext, store: StoreClient, source: number, stream: number, ids: readonly number[]): Promise<void> {
  for (let i = 0; i < ids.length; i += BURST) {
    const step = ids.slice(i, i + BURST)
    const settled = await Promise.all(step.map((id) => settle(store, source, id, [[stream, RECORD]])))
    t.true(settled.every(Boolean))
    await store.releaseStream(stream, 1, Number.MAX_SAFE_INTEGER)
  }
  const waiting = new Set((await wholeInbox(store, source)).map((row) => row.inboxId))
  t.false(ids.some((id) => waiting.has(id)))
}

test('store at its quota refuses to accept, counts it, and still settles, buries, keeps values and drains', async (t) => {
  const store = await openTestStore(t, tempDir(t), { maxBytes: 2 * MiB })
  const source = await store.openSource('s')
  const stream = await store.openStream('out')
  const ids = await fill(t, store, source, 8 * MiB)
  t.true(ids.length > 500)
  t.is((await wholeInbox(store, source)).length, ids.length)
  const refused = (await store.ledger()).sources[0]!
  t.true(refused.balanced && refused.rejected > 0)
  await store.setValue('deployment', 'x'.repeat(1000))
  t.true(await bury(store, source, ids.pop()!))
  await drain(t, store, source, stream, ids)
  t.truthy(await accept(store, source, RECORD))
  const { sources, streams } = await store.ledger()
  t.true(sources[0]!.balanced && streams[0]!.balanced)
})

test('store whose streams fill the last page keeps the events it cannot settle, and settles them after a release', async (t) => {
  const store = await openTestStore(t, tempDir(t), { maxBytes: 1 * MiB })
  const source = await store.openSource('s')
  const stream = await store.openStream('out')
  const ids = await fill(t, store, source, 8 * MiB)
  const big = Buffer.alloc(20_000, 1)
  const answers = await Promise.allSettled(ids.map((id) => settle(store, source, id, [[stream, big]])))
  const failed = ids.filter((_, i) => answers[i]!.status === 'rejected')
  t.true(failed.length > 0 && failed.length < ids.length)
  for (const answer of answers) if (answer.status === 'rejected') t.like(answer.reason, { code: 'store-full', retryable: true })
  t.deepEqual(
    (await wholeInbox(store, source)).map((row) => row.inboxId),
    failed,
  )
  t.is((await store.readStream(stream, 1, 1e9, 1e6, 64 * MiB)).length, ids.length - failed.length)
  await store.releaseStream(stream, 1, 1e9)
  t.true(await settle(store, source, failed[0]!, [[stream, big]]))
  const { sources, streams } = await store.ledger()
  t.true(sources[0]!.balanced && streams[0]!.balanced)
})

needs(
  test,
  'mke2fs',
  'losetup',
  'mount',
)('store on a disk that others filled refuses to accept, drains, survives a restart and accepts when space is back', async (t) => {
  const { mount, unmount } = mountSmallDisk(t)
  const stores: StoreClient[] = []
  try {
    const dir = path.join(mount, 'data')
    const open = async () => {
      const store = await openTestStore(t, dir, { maxBytes: 12 * MiB })
      stores.push(store)
      return store
    }
    let store = await open()
    const source = await store.openSource('s')
    const stream = await store.openStream('out')
    const ids: number[] = []
    for (let i = 0; i < 200; i++) ids.push(await accept(store, source, RECORD))
    const ballast = path.join(dir, 'ballast')
    const whole = fs.statSync(ballast)
    t.true(whole.blocks * 512 >= whole.size && whole.size > MiB / 2)
    const hogs = [hogDisk(mount)]
    ids.push(...(await fill(t, store, source, 32 * MiB)))
    ids.push(...(await fill(t, store, source, 32 * MiB)))
    t.is(fs.statSync(ballast).size, whole.size, 'refusing costs no ballast')
    const half = ids.splice(0, ids.length / 2)
    const big = Buffer.alloc(4000, 2)
    for (const id of half.slice(0, 50)) t.true(await settle(store, source, id, [[stream, big]]))
    t.true(fs.statSync(ballast).size < whole.size, 'settling may take of it')
    // Somebody takes what the ballast gave, too.
    hogs.push(hogDisk(mount))
    await drain(t, store, source, stream, half.slice(50))
    t.log(`acknowledged ${half.length + ids.length}`)
    t.true((await store.ledger()).sources[0]!.balanced)

    await store.close()
    store = await open()
    t.is(store.report.damage, null)
    const waiting = (await wholeInbox(store, source)).map((row) => row.inboxId)
    t.true(
      ids.every((id) => waiting.includes(id)),
      'nothing acknowledged was lost',
    )

    for (const hog of hogs) fs.rmSync(hog)
    t.truthy(await accept(store, source, RECORD))
    await store.flush()
    t.truthy(await accept(store, source, RECORD))
    await drain(
      t,
      store,
      source,
      stream,
      (await wholeInbox(store, source)).map((row) => row.inboxId),
    )
    await store.ledger()
    t.is(fs.statSync(ballast).size, whole.size)
    const { sources, streams } = await store.ledger()
    t.true(sources[0]!.balanced && streams[0]!.balanced)
  } finally {
    for (const store of stores) await store.close()
    unmount()
  }
})

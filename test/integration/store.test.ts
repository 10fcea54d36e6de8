import test from 'ava'
import { accept, bury, MiB, openTestStore, REASON, settle, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

test('store reopened keeps accepted events, numbers of names and counts the start', async (t) => {
  const dir = tempDir(t)
  const first = await openTestStore(t, dir)
  const source = await first.openSource('mqtt')
  const other = await first.openSource('cron')
  const ids = await Promise.all(['a', 'b', 'c'].map((text) => accept(first, source, Buffer.from(text))))
  await first.close()
  const second = await openTestStore(t, dir)
  t.deepEqual([first.boot, second.boot], [1, 2])
  t.is(second.report.epoch, first.report.epoch)
  t.deepEqual([await second.openSource('cron'), await second.openSource('mqtt')], [other, source])
  const rows = await wholeInbox(second, source)
  t.deepEqual(
    rows.map((row) => [row.inboxId, row.attempt, row.record.toString()]),
    ids.map((id, i) => [id, 0, 'abc'[i]]),
  )
  t.deepEqual(await wholeInbox(second, other), [])
})

test('store settling an event moves it into the stream and changes state in one step', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const stream = await store.openStream('out')
  const fn = await store.openFunction('f')
  const id = await accept(store, source, Buffer.from('in'))
  store.begin(source, id)
  store.emit(stream, Buffer.from('one'))
  store.setState(fn, 'count', Buffer.from('1'))
  store.emit(stream, Buffer.from('two'))
  store.setState(fn, 'gone', Buffer.from('x'))
  store.deleteState(fn, 'gone')
  const settled = await new Promise((resolve) => store.end((error, ok) => resolve(error ?? ok)))
  t.true(settled)
  t.deepEqual(
    (await store.readStream(stream, 1, 10, 10, MiB)).map((row) => [row.seq, row.record.toString()]),
    [
      [1, 'one'],
      [2, 'two'],
    ],
  )
  t.is((await store.getState(fn, 'count'))?.toString(), '1')
  t.is(await store.getState(fn, 'gone'), undefined)
  t.deepEqual(await wholeInbox(store, source), [])
})

test('store settling an event twice changes nothing the second time', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const stream = await store.openStream('out')
  const id = await accept(store, source, Buffer.from('in'))
  const answers = await Promise.all([
    settle(store, source, id, [[stream, Buffer.from('x')]]),
    settle(store, source, id, [[stream, Buffer.from('y')]]),
  ])
  t.deepEqual(answers, [true, false])
  t.is((await store.readStream(stream, 1, 10, 10, MiB)).length, 1)
  t.false(await bury(store, source, id))
  t.deepEqual(await store.deadLetters(10), [])
})

test('store question sees every step offered before it', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const fn = await store.openFunction('f')
  for (let i = 1; i <= 50; i++) {
    store.begin(source, 0)
    store.setState(fn, 'n', Buffer.from(String(i)))
    store.end(null)
    t.is((await store.getState(fn, 'n'))?.toString(), String(i))
  }
})

test('store ledger counts direct events and buried ones', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('http')
  await settle(store, source, 0)
  await settle(store, source, 0)
  await bury(store, source, 0, Buffer.from('bad'))
  await bury(store, source, await accept(store, source, Buffer.from('worse')))
  await accept(store, source, Buffer.from('waits'))
  const [row] = (await store.ledger()).sources
  t.like(row, { name: 'http', accepted: 5, delivered: 2, dead: 2, waiting: 1, lastSeq: 5, balanced: true })
})

test('store dead letter replayed is back in the inbox with attempt 0', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const id = await accept(store, source, Buffer.from('body'))
  store.retryLater(id, 4)
  await store.flush()
  t.is((await wholeInbox(store, source))[0]?.attempt, 4)
  await bury(store, source, id)
  const [letter] = await store.deadLetters(10)
  t.like(letter, { ...REASON, source: 's' })
  t.is(letter?.record.toString(), 'body')
  const replayed = await store.replayDeadLetter(letter!.id)
  t.is(replayed?.source, source)
  t.not(replayed?.inboxId, id)
  const rows = await wholeInbox(store, source)
  t.deepEqual(rows, [{ inboxId: replayed!.inboxId, attempt: 0, record: Buffer.from('body') }])
  t.is(await store.replayDeadLetter(letter!.id), undefined)
  t.like((await store.ledger()).sources[0], { accepted: 2, dead: 1, waiting: 1, balanced: true })
})

test('store dead letters come newest first and page by id', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  for (const text of ['a', 'b', 'c']) await bury(store, source, 0, Buffer.from(text))
  const [c, b] = await store.deadLetters(2)
  t.deepEqual([c?.record.toString(), b?.record.toString()], ['c', 'b'])
  t.deepEqual(
    (await store.deadLetters(2, b!.id)).map((letter) => letter.record.toString()),
    ['a'],
  )
})

test('store stream released counts the rows as delivered and never gives a seq twice', async (t) => {
  const dir = tempDir(t)
  const first = await openTestStore(t, dir)
  const stream = await first.openStream('out')
  const source = await first.openSource('s')
  for (let i = 0; i < 3; i++) await settle(first, source, 0, [[stream, Buffer.from(`${i}`)]])
  await first.releaseStream(stream, 1, 2)
  await first.releaseStream(stream, 1, 2)
  t.like((await first.ledger()).streams[0], { accepted: 3, delivered: 2, waiting: 1, firstWaiting: 3, lastSeq: 3, balanced: true })
  await first.releaseStream(stream, 3, 3)
  await first.close()
  const second = await openTestStore(t, dir)
  await settle(second, source, 0, [[stream, Buffer.from('next')]])
  t.deepEqual(
    (await second.readStream(stream, 1, 100, 10, MiB)).map((row) => row.seq),
    [4],
  )
  const id = await accept(second, source, Buffer.from('x'))
  await settle(second, source, id)
  await second.close()
  const third = await openTestStore(t, dir)
  t.true((await accept(third, source, Buffer.from('y'))) > id)
})

test('store stream over its quota refuses the step, changes nothing and takes it after a release', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const stream = await store.openStream('small', { maxBytes: 250 })
  const id = await accept(store, source, Buffer.from('in'))
  await settle(store, source, 0, [[stream, Buffer.alloc(100)]])
  const twoMore: [number, Buffer][] = [
    [stream, Buffer.alloc(100)],
    [stream, Buffer.alloc(100)],
  ]
  await t.throwsAsync(settle(store, source, id, twoMore), { code: 'stream-full' })
  t.is((await wholeInbox(store, source)).length, 1)
  t.like((await store.ledger()).streams[0], { accepted: 1, rejected: 1, waiting: 1, balanced: true })
  await store.releaseStream(stream, 1, 1)
  t.true(await settle(store, source, id, twoMore))
})

test('store stream quota counts the rows of earlier starts', async (t) => {
  const dir = tempDir(t)
  const first = await openTestStore(t, dir)
  const source = await first.openSource('s')
  await settle(first, source, 0, [[await first.openStream('small', { maxBytes: 150 }), Buffer.alloc(100)]])
  await first.close()
  const second = await openTestStore(t, dir)
  const stream = await second.openStream('small', { maxBytes: 150 })
  await t.throwsAsync(settle(second, source, 0, [[stream, Buffer.alloc(100)]]), { code: 'stream-full' })
})

test('store step that names a number never opened is refused and the others in its batch are kept', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const answers = await Promise.allSettled([
    accept(store, 99, Buffer.from('a')),
    accept(store, source, Buffer.from('b')),
    settle(store, source, 0, [[77, Buffer.from('c')]]),
  ])
  t.deepEqual(
    answers.map((answer) => answer.status),
    ['rejected', 'fulfilled', 'rejected'],
  )
  t.is((await wholeInbox(store, source)).length, 1)
})

test('store step begun and never ended is dropped', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const id = await accept(store, source, Buffer.from('a'))
  store.begin(source, id)
  const second = await accept(store, source, Buffer.from('b'))
  t.deepEqual(
    (await wholeInbox(store, source)).map((row) => row.inboxId),
    [id, second],
  )
  const code = await new Promise((resolve) => store.end((error) => resolve((error as { code?: string } | null)?.code)))
  t.is(code, 'store-step')
})

test('store read stops at its rows and bytes but gives at least one row', async (t) => {
  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('s')
  const ids = await Promise.all(Array.from({ length: 10 }, () => accept(store, source, Buffer.alloc(1000))))
  t.is((await store.readInbox(source, 0, 3, MiB)).length, 3)
  t.is((await store.readInbox(source, 0, 10, 1)).length, 1)
  t.is((await store.readInbox(source, 0, 10, 2500)).length, 2)
  t.deepEqual(
    (await store.readInbox(source, ids[7]!, 10, MiB)).map((row) => row.inboxId),
    ids.slice(8),
  )
})

test('store values are kept, replaced and deleted', async (t) => {
  const dir = tempDir(t)
  const store = await openTestStore(t, dir)
  await store.setValue('a', 'ä1')
  await store.setValue('a', 'ä2')
  await store.setValue('b', 'x')
  await store.deleteValue('b')
  await store.close()
  const again = await openTestStore(t, dir)
  t.is(await again.getValue('a'), 'ä2')
  t.is(await again.getValue('b'), undefined)
})

test('store offered more than the disk takes answers busy and keeps what it took', async (t) => {
  const store = await openTestStore(t, tempDir(t), { maxBytes: 256 * MiB })
  const source = await store.openSource('s')
  const offers = Array.from({ length: 40 }, () => accept(store, source, Buffer.alloc(2 * MiB)))
  const answers = await Promise.allSettled(offers)
  const refused = answers.filter((answer) => answer.status === 'rejected')
  t.true(refused.length > 0 && refused.length < 20)
  for (const answer of refused) t.like(answer.reason, { code: 'store-busy', retryable: true })
  t.is((await store.ledger()).sources[0]?.waiting, 40 - refused.length)
  await t.notThrowsAsync(accept(store, source, Buffer.from('later')))
})

test('store closed while steps wait commits them, and closes twice', async (t) => {
  const dir = tempDir(t)
  const store = await openTestStore(t, dir, { commitIntervalMs: 60_000 })
  const source = await store.openSource('s')
  const kept = accept(store, source, Buffer.from('a'))
  await Promise.all([store.close(), store.close(), kept])
  await t.throwsAsync(accept(store, source, Buffer.from('b')), { code: 'store-closed' })
  await t.throwsAsync(store.ledger(), { code: 'store-closed' })
  const again = await openTestStore(t, dir)
  t.is((await wholeInbox(again, source)).length, 1)
})

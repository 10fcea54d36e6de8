/** The file trigger when something breaks: the agent is killed, the store is full, a file cannot be read, a folder is on another disk. */
import test, { type ExecutionContext } from 'ava'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { HANDLED_FILES_MAX, HandledFiles } from '../../adapters/triggers/file-handled.ts'
import { look, signatureOf } from '../../adapters/triggers/file-facts.ts'
import { moveGiven, removeGiven } from '../../adapters/triggers/file-put-away.ts'
import { readWhole } from '../../adapters/triggers/file-read.ts'
import { CRASH_POINTS } from '../../runtime/base/crash-point.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { bodyOf } from '../../runtime/event/event-writer.ts'
import type { Ledger } from '../../runtime/store/store.ts'
import { startAgent } from '../support/agent-process.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TriggerBench } from '../support/trigger-bench.ts'

const functionOf = (attributes: object) => ({
  'function.yaml': JSON.stringify({
    metadata: { name: 'f' },
    spec: { runtime: 'shell', handler: 'f.sh', triggers: { t: { kind: 'file', attributes: { stable: '20ms', ...attributes } } } },
  }),
  'f.sh': '#!/bin/sh\ncat\n',
})

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 20))
}

for (const point of CRASH_POINTS.filter((name) => name.startsWith('file:'))) {
  test.serial(`file is given at most once more and put away once, when the agent is killed ${point}`, async (t) => {
    const folder = tempDir(t)
    const [inbox, done] = [path.join(folder, 'in'), path.join(folder, 'done')]
    mkdirSync(inbox)
    const files = functionOf({ paths: [inbox], after: 'move', moveTo: done })
    process.env.DUNLIN_CRASH_POINT = point
    const killed = await startAgent(folder, files).finally(() => delete process.env.DUNLIN_CRASH_POINT)
    writeFileSync(path.join(inbox, 'a'), 'a')
    if (killed.child.exitCode === null && killed.child.signalCode === null) await once(killed.child, 'exit')
    t.is(killed.child.signalCode, 'SIGKILL')
    const agent = await startAgent(folder, files)
    try {
      await until(() => existsSync(path.join(done, 'a')))
      writeFileSync(path.join(inbox, 'b'), 'b')
      await until(() => existsSync(path.join(done, 'b')) && readdirSync(inbox).length === 0)
      t.deepEqual([readdirSync(inbox), readdirSync(done).toSorted()], [[], ['a', 'b']])
      const { accepted } = (await agent.get<Ledger>('/v1/ledger')).sources[0]!
      t.is(accepted, point === 'file:after-commit' ? 3 : 2)
    } finally {
      await agent.stop()
    }
  })
}

test.serial('400 files are all put away when the agent is killed twice among them, and few are given twice', async (t) => {
  const folder = tempDir(t)
  const [inbox, done] = [path.join(folder, 'in'), path.join(folder, 'done')]
  mkdirSync(inbox)
  mkdirSync(done)
  const files = functionOf({ paths: [inbox], after: 'move', moveTo: done })
  files['function.yaml'] = files['function.yaml'].replace('"shell"', '"nodejs"').replace('f.sh', 'f:handler')
  const source = { 'function.yaml': files['function.yaml'], 'f.mjs': 'export const handler = () => {}\n' }
  for (let n = 0; n < 400; n++) writeFileSync(path.join(inbox, String(n)), String(n))
  for (const count of [100, 250]) {
    const killed = await startAgent(folder, source)
    await until(() => readdirSync(done).length >= count)
    await killed.stop('SIGKILL')
  }
  const agent = await startAgent(folder, source)
  try {
    await until(() => readdirSync(inbox).length === 0)
    t.deepEqual(
      readdirSync(done)
        .map(Number)
        .toSorted((a, b) => a - b),
      Array.from({ length: 400 }, (_, n) => n),
    )
    const row = (await agent.get<Ledger>('/v1/ledger')).sources[0]!
    t.true(row.balanced)
    t.true(row.accepted >= 400 && row.accepted <= 400 + 2 * 16, String(row.accepted))
  } finally {
    await agent.stop()
  }
})

const onBench = async (t: ExecutionContext, attributes: object, run: (bench: TriggerBench, inbox: string) => Promise<void>) => {
  const bench = new TriggerBench()
  const inbox = path.join(tempDir(t), 'in')
  mkdirSync(inbox)
  const trigger = await bench.make({ kind: 'file', attributes: { paths: [inbox], stable: '20ms', ...attributes } })
  try {
    await trigger.start()
    await run(bench, inbox)
  } finally {
    bench.take()
    await trigger.stop()
    await bench.close()
  }
}

test.serial('10,000 files wait in their folder while the store is slow, and each is given once', async (t) => {
  await onBench(t, { after: 'delete', maxBodySize: '1MiB' }, async (bench, inbox) => {
    bench.mode = 'hold'
    for (let n = 0; n < 10_000; n++) writeFileSync(path.join(inbox, String(n)), String(n))
    await bench.until(() => bench.offered.length >= 16)
    bench.take()
    await bench.until(() => bench.committed.length >= 10_000)
    await until(() => readdirSync(inbox).length === 0)
    t.is(bench.offered.length, 10_000)
    t.is(bench.mostWaiting, 16)
    t.is(new Set(bench.committed.map((record) => bodyOf(record).toString())).size, 10_000)
  })
})

test.serial('file that the store refuses stays where it is, and is given when there is room', async (t) => {
  await onBench(t, { after: 'delete' }, async (bench, inbox) => {
    bench.mode = 'refuse'
    writeFileSync(path.join(inbox, 'a'), 'a')
    await bench.until(() => bench.offered.length > 0)
    t.true(existsSync(path.join(inbox, 'a')))
    bench.take()
    await until(() => !existsSync(path.join(inbox, 'a')))
    t.is(bench.committed.length, 1)
  })
})

test.serial('file that changes while it is given is given again, and not put away before', async (t) => {
  await onBench(t, { after: 'delete' }, async (bench, inbox) => {
    const file = path.join(inbox, 'a')
    bench.mode = 'hold'
    writeFileSync(file, 'one')
    await bench.until(() => bench.offered.length === 1)
    writeFileSync(file, 'two, longer')
    bench.take()
    await until(() => !existsSync(file))
    t.deepEqual(
      bench.committed.map((record) => bodyOf(record).toString()),
      ['one', 'two, longer'],
    )
  })
})

test.serial('folder for moved files that cannot be written is tried again, and the file is given once', async (t) => {
  const done = path.join(tempDir(t), 'done')
  writeFileSync(done, 'a file where the folder should be')
  await onBench(t, { after: 'move', moveTo: done }, async (bench, inbox) => {
    writeFileSync(path.join(inbox, 'a'), 'a')
    await bench.until(() => bench.committed.length === 1)
    rmSync(done)
    await until(() => existsSync(path.join(done, 'a')))
    t.is(bench.offered.length, 1)
  })
})

test('file on another disk is copied, synced and renamed, and keeps its time', async (t) => {
  const folder = tempDir(t)
  const other = mkdtempSync('/dev/shm/dunlin-test-')
  t.teardown(() => rmSync(other, { recursive: true }))
  if (statSync(other).dev === statSync(folder).dev) return t.pass('there is one disk only')
  const file = path.join(folder, 'a.csv')
  writeFileSync(file, 'content')
  const stats = statSync(file)
  t.true(await moveGiven(file, signatureOf(stats), path.join(other, 'done')))
  writeFileSync(file, 'second')
  t.true(await moveGiven(file, signatureOf(statSync(file)), path.join(other, 'done')))
  t.deepEqual(readdirSync(path.join(other, 'done')).toSorted(), ['a-1.csv', 'a.csv'])
  t.is(readFileSync(path.join(other, 'done/a.csv'), 'utf8'), 'content')
  t.is(Math.round(statSync(path.join(other, 'done/a.csv')).mtimeMs / 1000), Math.round(stats.mtimeMs / 1000))
  t.false(existsSync(file))
})

test('file that is not the one that was given is left alone', async (t) => {
  const folder = tempDir(t)
  const file = path.join(folder, 'a')
  writeFileSync(file, 'one')
  const given = signatureOf(statSync(file))
  writeFileSync(file, 'other')
  t.false(await moveGiven(file, given, path.join(folder, 'done')))
  t.false(await removeGiven(file, given))
  t.is(readFileSync(file, 'utf8'), 'other')
})

test('file that changes while it is read is not given in part', async (t) => {
  const folder = tempDir(t)
  const file = path.join(folder, 'a')
  writeFileSync(file, 'one')
  const seen = (await look(file))!
  writeFileSync(file, 'two, longer')
  t.is(await readWhole(file, seen, folder), 'changed')
  t.deepEqual(await readWhole(file, (await look(file))!, folder), { body: Buffer.from('two, longer') })
  const elsewhere = tempDir(t)
  t.is(await readWhole(file, (await look(file))!, elsewhere), 'outside')
})

if (process.getuid?.() !== 0) {
  test.serial('file without permission is given when it has one', async (t) => {
    await onBench(t, {}, async (bench, inbox) => {
      const file = path.join(inbox, 'a')
      writeFileSync(file, 'a', { mode: 0o000 })
      writeFileSync(path.join(inbox, 'b'), 'b')
      await bench.until(() => bench.committed.length === 1)
      chmodSync(file, 0o600)
      await bench.until(() => bench.committed.length === 2)
      t.is(bodyOf(bench.committed[1]!).toString(), 'a')
    })
  })
}

test('remembered files are bounded, and read again as they were', async (t) => {
  const kept = new Map<string, string>()
  const marks = { get: async (name: string) => kept.get(name), set: async (name: string, value: string) => void kept.set(name, value) }
  const handled = new HandledFiles(marks, 'file/f/t', silentLogger)
  await handled.open()
  for (let n = 0; n < HANDLED_FILES_MAX + 1_000; n++) handled.addInMemory(`/data/in/${n}`, '1:2:3')
  t.is([...handled.files()].length, HANDLED_FILES_MAX)
  await Promise.all([handled.add('/a', '1'), handled.add('/a', '2'), handled.add('/a', '3'), handled.add('/__proto__', '4')])
  await handled.remove(['/data/in/101000'])
  const again = new HandledFiles(marks, 'file/f/t', silentLogger)
  await again.open()
  t.is(again.get('/a'), '3')
  t.is(again.get('/__proto__'), '4')
})

import test from 'ava'
import Database from 'better-sqlite3'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { createDraft, openDatabase, setPragmas } from '../../runtime/store/database.ts'
import { PAGE_BYTES } from '../../runtime/store/limits.ts'
import { migrate, MIGRATIONS } from '../../runtime/store/schema.ts'
import { accept, openTestStore, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const CHILD = path.join(import.meta.dirname, '../support/store-child.ts')

test('store database opened has every setting that its promises rest on', (t) => {
  const file = path.join(tempDir(t), 'queue.db')
  createDraft(file).close()
  const db = openDatabase(file, 1000)
  t.teardown(() => db.close())
  const read = (name: string) => db.pragma(name, { simple: true })
  t.deepEqual(
    [
      'journal_mode',
      'synchronous',
      'journal_size_limit',
      'wal_autocheckpoint',
      'busy_timeout',
      'temp_store',
      'foreign_keys',
      'max_page_count',
      'page_size',
    ].map(read),
    ['wal', 2, -1, 0, 5000, 2, 0, 1000, PAGE_BYTES],
  )
})

test('store database that does not take a setting is refused', (t) => {
  const db = new Database(':memory:')
  t.teardown(() => db.close())
  t.throws(() => setPragmas(db, 1000), { code: 'store-pragma', message: /journal_mode is memory, must be wal/ })
})

test('store of a newer release is refused by name and not changed', async (t) => {
  const dir = tempDir(t)
  await (await openTestStore(t, dir)).close()
  const file = path.join(dir, 'queue.db')
  const db = new Database(file)
  db.exec(`UPDATE meta SET value = 'dunlin 9.9.9' WHERE key = 'program'; PRAGMA user_version = ${MIGRATIONS.length + 1}`)
  db.close()
  const before = fs.readFileSync(file)
  await t.throwsAsync(openTestStore(t, dir), {
    code: 'store-newer',
    message: /dunlin 9\.9\.9 wrote it with schema 2, this release knows 1/,
  })
  t.deepEqual(fs.readFileSync(file), before)
  t.deepEqual(
    fs.readdirSync(dir).filter((name) => name.includes('corrupt')),
    [],
  )
})

test('store migration that fails leaves the old database', (t) => {
  const db = openDatabase(path.join(tempDir(t), 'queue.db'), 1000)
  t.teardown(() => db.close())
  const failing = [
    ...MIGRATIONS,
    (target: Database.Database) => {
      target.exec('CREATE TABLE half (x); DROP TABLE inbox')
      throw new Error('no')
    },
  ]
  t.throws(() => migrate(db, failing), { code: 'store-migration' })
  t.is(db.pragma('user_version', { simple: true }), MIGRATIONS.length)
  t.deepEqual(db.prepare("SELECT name FROM sqlite_schema WHERE name IN ('half', 'inbox')").pluck().all(), ['inbox'])
})

test('store migrated keeps its rows', async (t) => {
  const dir = tempDir(t)
  const store = await openTestStore(t, dir)
  const source = await store.openSource('s')
  await accept(store, source, Buffer.from('kept'))
  await store.close()
  const db = new Database(path.join(dir, 'queue.db'))
  t.teardown(() => db.close())
  migrate(db, [...MIGRATIONS, (target) => target.exec('ALTER TABLE inbox ADD COLUMN extra')])
  t.is(db.prepare('SELECT record FROM inbox').pluck().get()?.toString(), 'kept')
  t.is(db.pragma('user_version', { simple: true }), MIGRATIONS.length + 1)
})

test('data directory held by this process is refused to a second store in it', async (t) => {
  const dir = tempDir(t)
  const store = await openTestStore(t, dir)
  await t.throwsAsync(openTestStore(t, dir), { code: 'data-dir-locked', message: new RegExp(`process ${process.pid} holds it`) })
  await store.close()
  await t.notThrowsAsync(openTestStore(t, dir))
})

test('data directory held by another process is refused with its pid, and free after that was killed', async (t) => {
  const dir = tempDir(t)
  const child = spawn(process.execPath, [CHILD, dir, 'hold'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = new Promise((resolve) => child.once('exit', resolve))
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const started = performance.now()
  await t.throwsAsync(openTestStore(t, dir), { code: 'data-dir-locked', message: new RegExp(`process ${child.pid} holds it`) })
  t.true(performance.now() - started < 5000)
  child.kill('SIGKILL')
  await exited
  const store = await openTestStore(t, dir)
  t.is((await wholeInbox(store, await store.openSource('s'))).length, 1)
})

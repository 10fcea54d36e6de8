/** The hub is killed where it hurts: what it has acknowledged must be there afterwards, and what it has not may come again. */
import test from 'ava'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { topics } from '../../config/wire.ts'
import { encodeFrame } from '../../runtime/event/frame.ts'
import { emittedRows, span } from '../support/emitted.ts'
import {
  call,
  connectDevice,
  enrol,
  initialiseTrust,
  publish,
  removeFolder,
  sha256,
  spawnHub,
  startHub,
  temporaryFolder,
  newestTargets,
} from '../support/hub.ts'

const FRAME_ROWS = 50

test('hub that is killed right after a PUBACK has every acknowledged event, each once', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  let hub = await spawnHub(dataDir)
  t.teardown(() => hub.stop())
  await initialiseTrust(hub)
  const device = await enrol(hub, 'edge-1')
  const acknowledged = new Set<number>()
  for (let round = 0; round < 3; round++) {
    const link = await connectDevice(hub, device)
    link.on('error', () => {})
    const gone = once(hub.child!, 'exit')
    let confirmed = 0
    // Frames that were never acknowledged are sent again by the next round, and so are some that were.
    for (let i = 0; i < 40; i++) {
      const first = (round * 20 + i) * FRAME_ROWS + 1
      const seqs = span(first, first + FRAME_ROWS - 1)
      link.publish(topics.events('edge-1'), encodeFrame('readings', 'e1', emittedRows(seqs)), { qos: 1 }, (error) => {
        if (error) return
        for (const seq of seqs) acknowledged.add(seq)
        if (++confirmed === 10) hub.child!.kill('SIGKILL')
      })
    }
    await gone
    link.end(true)
    hub = await spawnHub(dataDir)
    const stored = new Set<number>()
    for (let after = ''; ;) {
      const { events, next } = (await call(hub, 'GET', `/v1/events?device=edge-1&stream=readings&limit=1000${after}`)).json
      for (const { seq } of events) {
        t.false(stored.has(seq), `seq ${seq} is stored once`)
        stored.add(seq)
      }
      if (next === null) break
      after = `&after=${next}`
    }
    t.true(acknowledged.size >= 10 * FRAME_ROWS)
    t.deepEqual(
      [...acknowledged].filter((seq) => !stored.has(seq)),
      [],
      `round ${round}`,
    )
    const [position] = (await call(hub, 'GET', '/v1/streams')).json.streams
    t.is(position.stored, stored.size)
  }
  t.is((await call(hub, 'GET', '/v1/devices/edge-1')).json.connected, false)
})

test('hub that is stopped by SIGTERM exits 0 and one that cannot start says why', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const hub = await spawnHub(dataDir)
  await t.throwsAsync(spawnHub(dataDir), { message: /another hub uses this data directory/ })
  await hub.stop()
  t.is(hub.child!.exitCode, 0)
  await t.throwsAsync(spawnHub(dataDir, ['--nonsense']), { message: /nonsense/ })
})

test('hub refuses a database of a newer version and leaves it as it is', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  await (await startHub({ dataDir })).stop()
  const database = new Database(join(dataDir, 'hub.db'))
  database.pragma('user_version = 99')
  database.close()
  await t.throwsAsync(startHub({ dataDir }), { code: 'database-newer' })
})

test('publication that a crash cut off before its timestamp is published when it is sent again', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const hub = await startHub({ dataDir })
  const publisher = await initialiseTrust(hub)
  const text = 'spec: {}\n'
  await call(hub, 'PUT', `/v1/blobs/${sha256(text)}`, { body: text })
  const manifest = JSON.stringify({
    dunlin: 1,
    name: 'f',
    version: 1,
    files: [{ path: 'function.yaml', size: text.length, sha256: sha256(text) }],
    config: 'function.yaml',
  })
  const targets = publisher.add(await newestTargets(hub), { name: 'f', version: 1, manifest })
  await hub.stop()
  // What is on the disk when the power fails between the two files.
  writeFileSync(join(dataDir, 'tuf/2.targets.json'), targets)
  writeFileSync(join(dataDir, 'tuf/2.snapshot.json'), '{')
  const again = await startHub({ dataDir })
  t.teardown(() => again.stop())
  t.like((await call(again, 'GET', '/v1/status')).json.trust, { isReady: true, targetsVersion: 1 })
  t.is((await call(again, 'POST', '/v1/functions', { body: { manifest, targets } })).status, 200)
  t.is((await publish(again, publisher, 'f', 2)).status, 200)
})

test('function that is in the targets but not in the database is listed after the next start', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const hub = await startHub({ dataDir })
  await publish(hub, await initialiseTrust(hub), 'f', 1)
  await hub.stop()
  const database = new Database(join(dataDir, 'hub.db'))
  database.exec('DELETE FROM functions')
  database.close()
  const again = await startHub({ dataDir })
  t.teardown(() => again.stop())
  t.like((await call(again, 'GET', '/v1/functions')).json.functions, [{ name: 'f', version: 1 }])
})

test('hub whose authority key is gone does not make another', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  await (await startHub({ dataDir })).stop()
  removeFolder(join(dataDir, 'ca/authority.pem'))
  await t.throwsAsync(startHub({ dataDir }), { code: 'ca-key-missing' })
})

test('hub whose online keys are gone does not sign with others', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const hub = await startHub({ dataDir })
  await initialiseTrust(hub)
  await hub.stop()
  removeFolder(join(dataDir, 'keys'))
  await t.throwsAsync(startHub({ dataDir }), { code: 'online-key-missing' })
})

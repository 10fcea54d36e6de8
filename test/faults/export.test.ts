import test from 'ava'
import { once } from 'node:events'
import { ExportPump } from '../../agent/export/export-pump.ts'
import { HubLink } from '../../agent/link/hub-link.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { emitRecord } from '../support/fake-streams.ts'
import { call, enrol, initialiseTrust, removeFolder, spawnHub, temporaryFolder, type TestHub } from '../support/hub.ts'
import { openTestStore } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const ROWS = 5000
const ROUND = 500

test('export of 5,000 rows with the hub killed twice has each row at the hub exactly once', async (t) => {
  const hubDir = temporaryFolder()
  let hub = await spawnHub(hubDir)
  t.teardown(async () => {
    await hub.stop()
    removeFolder(hubDir)
  })
  const ports = ['--api-listen', `127.0.0.1:${hub.api.port}`, '--gateway-listen', `127.0.0.1:${hub.gateway.port}`]
  await initialiseTrust(hub)
  const device = await enrol(hub, 'board-1')

  const store = await openTestStore(t, tempDir(t))
  const source = await store.openSource('test')
  const stream = await store.openStream('readings')
  const { epoch } = (await store.ledger()).streams[0]!
  const identity = { ...device, gateway: { host: hub.gateway.host, port: hub.gateway.port } }
  const link = new HubLink({ identity, logger: silentLogger, backoff: { firstMs: 20, maxMs: 100 } })
  const progress = { released: 0, changed: () => {} }
  const onReleased = (_stream: string, rows: number) => {
    progress.released += rows
    progress.changed()
  }
  const settings = { batchRowsMax: 50, fruitlessBackoff: { firstMs: 20, maxMs: 100 } }
  const pump = new ExportPump({ store, link, device: 'board-1', logger: silentLogger, settings, onReleased })
  t.teardown(async () => {
    await link.close()
    await pump.close()
  })
  pump.addStream(stream, 'readings', epoch)
  pump.start()
  link.start()

  async function emit(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      store.begin(source, 0)
      store.emit(stream, emitRecord(64))
      store.end(null)
    }
    await store.flush()
    pump.notify(stream)
  }
  async function releasedAtLeast(rows: number): Promise<void> {
    while (progress.released < rows) await new Promise<void>((resolve) => (progress.changed = resolve))
  }
  async function kill(): Promise<TestHub> {
    const dead = once(hub.child!, 'exit')
    hub.child!.kill('SIGKILL')
    await dead
    return spawnHub(hubDir, ports)
  }

  await emit(ROUND)
  for (let sent = ROUND; sent < ROWS; sent += ROUND) {
    await emit(ROUND)
    if (sent === 3 * ROUND || sent === 6 * ROUND) {
      await releasedAtLeast(progress.released + 1)
      hub = await kill()
    }
  }
  await releasedAtLeast(ROWS)

  const [row] = (await call(hub, 'GET', '/v1/streams?device=board-1')).json.streams
  t.like(row, { stream: 'readings', epoch, contiguousSeq: ROWS, maxSeq: ROWS, stored: ROWS, gaps: [] })
  const own = (await store.ledger()).streams[0]!
  t.like(own, { lastSeq: ROWS, accepted: ROWS, delivered: ROWS, waiting: 0, balanced: true })
})

import test from 'ava'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { enrol } from '../../agent/identity/enrol.ts'
import { loadIdentity } from '../../agent/identity/identity.ts'
import { CRASH_POINTS } from '../../runtime/base/crash-point.ts'
import { call, claimToken, initialiseTrust, removeFolder, startHub } from '../support/hub.ts'
import { tempDir } from '../support/temp-dir.ts'

test('device killed at each point of its enrolment becomes one device with the same one-use token', async (t) => {
  const hub = await startHub()
  t.teardown(async () => {
    await hub.stop()
    removeFolder(hub.dataDir)
  })
  await initialiseTrust(hub)
  const token = await claimToken(hub, { uses: 1 })
  const dir = path.join(tempDir(t), 'identity')
  for (const point of CRASH_POINTS.filter((name) => name.startsWith('identity:'))) {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, '../support/enrol-child.ts'), hub.url, token, dir], {
      env: { ...process.env, DUNLIN_CRASH_POINT: point },
      stdio: 'ignore',
    })
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    t.is(signal, 'SIGKILL', point)
    t.is(await loadIdentity(dir), undefined, `${point}: not enrolled yet`)
  }
  const identity = await enrol({ hubUrl: hub.url, claimToken: token, name: 'board-1', dir })
  t.is(identity.device, 'board-1')
  const { devices } = (await call(hub, 'GET', '/v1/devices')).json
  t.is(devices.length, 1)
  await t.throwsAsync(enrol({ hubUrl: hub.url, claimToken: token, name: 'board-2', dir: path.join(tempDir(t), 'other') }))
})

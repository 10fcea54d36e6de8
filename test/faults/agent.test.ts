import test from 'ava'
import { connect } from 'mqtt'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Ledger } from '../../runtime/store/store.ts'
import { AGENT_MAIN, startAgent, type AgentProcess } from '../support/agent-process.ts'
import { copyFunction } from '../support/example-functions.ts'
import { call, claimToken, initialiseTrust, startHub } from '../support/hub.ts'
import { needs } from '../support/packages.ts'
import { hogDisk, mountSmallDisk } from '../support/small-disk.ts'
import { tempDir } from '../support/temp-dir.ts'

/** Runs an agent that is expected to end by itself: its exit code and what it said. */
async function runToEnd(args: readonly string[]): Promise<{ code: number; said: string; ms: number }> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, [AGENT_MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, said, ms: performance.now() - startedMs }
}

/** Publishes with QoS 1; resolves with whether it was acknowledged before the connection ended. */
async function publishOnce(port: number, topic: string, payload: string | Buffer): Promise<boolean> {
  const client = connect({ host: '127.0.0.1', port, reconnectPeriod: 0, protocolVersion: 4 })
  client.on('error', () => {})
  const acked = await new Promise<boolean>((resolve) => {
    client.on('close', () => resolve(false))
    client.on('connect', () => client.publish(topic, payload, { qos: 1 }, (error) => resolve(!error)))
  })
  await client.endAsync(true)
  return acked
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 20))
}

const ledgerOf = (agent: AgentProcess): Promise<Ledger> => agent.get<Ledger>('/v1/ledger')

test('second agent on the same data directory ends with a message that names the first', async (t) => {
  const folder = tempDir(t)
  const agent = await startAgent(folder, copyFunction)
  t.teardown(() => agent.stop())
  const { code, said } = await runToEnd(['--data-dir', join(folder, 'data'), '--broker-listen', '127.0.0.1:0'])
  t.is(code, 75)
  t.regex(said, new RegExp(`${agent.child.pid}`))
  t.true(await publishOnce(agent.brokerPort, 'sensors/a', 'still here'))
})

test('agent on a data directory of a newer version ends, says so, and changes nothing', async (t) => {
  const folder = tempDir(t)
  await (await startAgent(folder, copyFunction)).stop()
  const file = join(folder, 'data', 'queue.db')
  const db = new Database(file)
  db.pragma('user_version = 999')
  db.close()
  const { code, said } = await runToEnd(['--data-dir', join(folder, 'data'), '--broker-listen', '127.0.0.1:0'])
  t.is(code, 1)
  t.regex(said, /newer/)
  const after = new Database(file, { readonly: true })
  t.is(after.pragma('user_version', { simple: true }), 999)
  after.close()
})

test('agent whose broker port is taken ends with the name of the setting', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const { code, said } = await runToEnd(['--data-dir', join(tempDir(t), 'data'), '--broker-listen', `127.0.0.1:${port}`])
  t.is(code, 78)
  t.regex(said, /broker\.listen/)
  t.regex(said, new RegExp(String(port)))
})

test('agent with a wrong config ends with file, line and the key that was meant', async (t) => {
  const { code, said } = await runToEnd(['--config', join(import.meta.dirname, '../support/wrong-agent.yaml')])
  t.is(code, 78)
  t.regex(said, /wrong-agent\.yaml:2:3 broker\.lisen: .*"listen"/)
})

test('message over the limit is refused at its first bytes, and the agent goes on', async (t) => {
  const agent = await startAgent(tempDir(t), copyFunction)
  t.teardown(() => agent.stop())
  t.false(await publishOnce(agent.brokerPort, 'sensors/a', Buffer.alloc(1024 * 1024)))
  t.true(await publishOnce(agent.brokerPort, 'sensors/a', 'small'))
  await until(async () => (await ledgerOf(agent)).streams[0]?.accepted === 1)
  t.like((await ledgerOf(agent)).sources[0]!, { accepted: 1, delivered: 1, balanced: true })
})

test('agent told to stop lets the running handler end, and keeps the events behind it', async (t) => {
  const folder = tempDir(t)
  const slow = {
    ...copyFunction,
    'main.py': `import time\ndef handler(context, event):\n    time.sleep(0.5)\n    context.emit('readings', event.body)\n`,
  }
  const agent = await startAgent(folder, slow)
  for (let i = 0; i < 4; i++) t.true(await publishOnce(agent.brokerPort, 'sensors/a', String(i)))
  await agent.stop()
  t.is(agent.child.exitCode, 0)
  const again = await startAgent(folder, copyFunction)
  t.teardown(() => again.stop())
  await until(async () => (await ledgerOf(again)).streams[0]?.accepted === 4)
  const { sources, streams } = await ledgerOf(again)
  t.like(sources[0]!, { accepted: 4, delivered: 4, waiting: 0, balanced: true })
  t.true(streams[0]!.balanced)
})

test('agent with a wrong claim token says so, runs without a hub, and enrols when it gets the right one', async (t) => {
  const folder = tempDir(t)
  const hub = await startHub({ dataDir: join(folder, 'hub') })
  t.teardown(() => hub.stop())
  await initialiseTrust(hub)
  const right = await claimToken(hub)
  const [scheme, , fingerprint] = right.split('.')
  const file = join(folder, 'token')
  writeFileSync(file, `${scheme}.${'A'.repeat(43)}.${fingerprint}`)
  const agent = await startAgent(folder, copyFunction, ['--hub', hub.url, '--claim-token-file', file, '--name', 'board-1'])
  t.teardown(() => agent.stop())
  const link = async () => (await agent.get<{ link: { state: string; error?: string } }>('/v1/status')).link
  await until(async () => (await link()).error !== undefined)
  t.regex((await link()).error!, /claim token/i)
  t.true(await publishOnce(agent.brokerPort, 'sensors/a', 'without a hub'))
  writeFileSync(file, right)
  await until(async () => (await link()).state === 'online')
  t.false(existsSync(file))
  await until(async () => (await call(hub, 'GET', '/v1/devices/board-1')).json.reported?.facts.kernel !== undefined)
  t.false(agent.log().includes(right.split('.')[1]!))
})

needs(
  test,
  'mke2fs',
  'losetup',
  'mount',
)('agent on a full disk acknowledges nothing, stays up, and accepts again when there is space', async (t) => {
  const { mount, unmount } = mountSmallDisk(t)
  const agent = await startAgent(mount, copyFunction)
  try {
    let accepted = 0
    for (; accepted < 20; accepted++) t.true(await publishOnce(agent.brokerPort, 'sensors/a', 'x'.repeat(1000)))
    const hog = hogDisk(mount)
    let isRefused = false
    for (let i = 0; i < 200 && !isRefused; i++) {
      if (await publishOnce(agent.brokerPort, 'sensors/a', 'x'.repeat(100_000))) accepted++
      else isRefused = true
    }
    t.true(isRefused)
    t.is((await agent.get<{ store: object }>('/v1/status')).store !== undefined, true)
    rmSync(hog)
    await until(() => publishOnce(agent.brokerPort, 'sensors/a', 'after'))
    await until(async () => (await ledgerOf(agent)).sources[0]!.waiting === 0)
    const { sources, streams } = await ledgerOf(agent)
    t.true(sources[0]!.accepted >= accepted + 1)
    t.is(streams[0]!.accepted, sources[0]!.accepted)
    for (const row of [...sources, ...streams]) t.true(row.balanced)
  } finally {
    await agent.stop()
    unmount()
  }
})

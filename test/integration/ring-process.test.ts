import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import type { ProtocolError } from '../../runtime/base/errors.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { Kind } from '../../runtime/event/record.ts'
import { FileBodies, removeLeftBodies } from '../../runtime/shared-memory/body-files.ts'
import { openProcessChannel, type ProcessChannel } from '../../runtime/shared-memory/process-channel.ts'
import { PythonGuest, text } from '../support/python-guest.ts'
import { headerOf, seen, type SeenRecord } from '../support/ring-pair.ts'

const HOSTILE = fileURLToPath(new URL('../support/hostile_guest.py', import.meta.url))
const GUEST_PATH = fileURLToPath(new URL('../../runtime/shared-memory/guests/python', import.meta.url))

interface Hostile extends ProcessChannel {
  readonly records: SeenRecord[]
  readonly broken: Promise<ProtocolError>
  readonly exited: Promise<unknown[]>
  readonly until: (count: number) => Promise<void>
}

function openHostile(t: ExecutionContext, attack: string): Hostile {
  const opened = openProcessChannel({
    command: 'python3',
    args: [HOSTILE, attack],
    env: { PATH: process.env['PATH'], GUEST_PATH, PYTHONDONTWRITEBYTECODE: '1' },
    cwd: '/',
    ringBytes: 16_384,
    logger: silentLogger,
  })
  const records: SeenRecord[] = []
  const broken = Promise.withResolvers<ProtocolError>()
  let changed = Promise.withResolvers<void>()
  opened.channel.onRecord = (view) => {
    records.push(seen(view))
    changed.resolve()
    changed = Promise.withResolvers()
  }
  opened.channel.onBroken = broken.resolve
  opened.child.stderr!.on('data', (chunk: Buffer) => t.log(chunk.toString()))
  const exited = once(opened.child, 'exit')
  t.teardown(async () => {
    if (opened.child.exitCode === null && opened.child.signalCode === null) opened.child.kill('SIGKILL')
    await exited
    opened.channel.close()
  })
  const until = async (count: number): Promise<void> => {
    while (records.length < count) await changed.promise
  }
  return { ...opened, records, broken: broken.promise, exited, until }
}

test('process channel hands over the whole record of a guest killed in the middle of the next', async (t) => {
  const { channel, records, exited } = openHostile(t, 'killed-in-record')
  let isBroken = false
  channel.onBroken = () => (isBroken = true)
  await exited
  channel.poll(100)
  t.deepEqual(records.map(text), ['whole'])
  t.false(isBroken)
})

for (const [attack, code] of [
  ['garbage', /^(ring-|body-)/],
  ['size-beyond', /^ring-record$/],
  ['index-beyond', /^ring-record$/],
  ['wrap-for-ever', /^ring-record$/],
  ['unknown-kind', /^ring-record$/],
  ['body-path', /^body-reference$/],
  ['body-missing', /^body-missing$/],
  ['body-symlink', /^body-missing$/],
  ['body-fifo', /^body-length$/],
  ['body-short', /^body-length$/],
  ['body-too-large', /^body-reference$/],
] as const) {
  test(`process channel with a guest's ${attack} breaks and reads nothing after`, async (t) => {
    const { channel, records, broken } = openHostile(t, attack)
    t.regex((await broken).code, code)
    // A wrong index is seen before the record in front of it is read.
    t.true(records.every((record) => text(record) === 'whole' || attack === 'garbage'))
    t.is(channel.poll(10), 0)
    t.false(channel.write(headerOf(), null, null))
  })
}

test('process channel whose guest moves its reading index breaks on the next write that needs room', async (t) => {
  const { channel, broken, until } = openHostile(t, 'consumer-index')
  await until(2)
  while (channel.write(headerOf(), null, Buffer.alloc(1000)));
  t.is((await broken).code, 'ring-index')
})

test('process channel memory cannot be truncated by the guest', async (t) => {
  const { channel, records, until } = openHostile(t, 'truncate')
  await until(2)
  t.is(text(records[1]!), 'refused')
  t.true(channel.write(headerOf(), null, Buffer.alloc(1000)))
})

test('process channel whose guest never reads refuses writes and stays whole', async (t) => {
  const { channel, until } = openHostile(t, 'never-reads')
  await until(1)
  let written = 0
  while (channel.write(headerOf(), null, Buffer.alloc(1000))) written++
  channel.flush()
  t.is(written, 15)
  t.false(channel.write(headerOf(), null, Buffer.alloc(1000)))
})

test('process channel that is closed ends its guest, which was asleep', async (t) => {
  const { channel, until, exited } = openHostile(t, 'never-reads')
  await until(1)
  channel.close()
  t.deepEqual(await exited, [7, null])
})

test('python guest in an endless handler exits when the agent is gone', async (t) => {
  const guest = new PythonGuest(t, 'def handler(context, event):\n    context.logger.info("in")\n    while True: pass\n')
  await guest.init()
  guest.post('')
  await guest.until((record) => record.kind === Kind.log)
  guest.process.channel.close()
  t.is((await guest.exit).code, 1)
})

test('python guest echoes bodies of all sizes, inside and outside a small ring, with back-pressure both ways', async (t) => {
  const guest = new PythonGuest(t, 'def handler(context, event):\n    return event.body\n', { ringBytes: 16_384 })
  await guest.init()
  const { channel } = guest.process
  const sizes = Array.from({ length: 2000 }, (_, i) => (i % 100 === 99 ? 5000 + i * 40 : (i * 31) % 4000))
  const done = Promise.withResolvers<void>()
  let sent = 0
  let got = 0
  let wrong = 0
  let refused = 0
  channel.onRecord = (view) => {
    const { body } = view
    if (view.kind !== Kind.result || view.ticket !== got || body.length !== sizes[got] || !body.every((byte) => byte === (got & 0xff)))
      wrong++
    if (++got === sizes.length) done.resolve()
  }
  const send = (): void => {
    while (sent < sizes.length && channel.write(headerOf({ ticket: sent }), null, Buffer.alloc(sizes[sent]!, sent))) sent++
    if (sent < sizes.length) refused++
    channel.flush()
  }
  channel.onWritable = send
  send()
  await done.promise
  t.is(wrong, 0)
  t.true(refused > 5)
  t.deepEqual(await guest.stop(), { code: 0, signal: null })
})

test('python guest that has read says so to an agent that waits for room, though it answers nothing', async (t) => {
  const guest = new PythonGuest(t, 'def handler(context, event):\n    return event.body\n', { ringBytes: 4096 })
  await guest.init()
  const { channel } = guest.process
  const writable = new Promise<void>((resolve) => (channel.onWritable = resolve))
  while (channel.write(headerOf({ kind: Kind.stateValue }), null, Buffer.alloc(500)));
  channel.flush()
  await writable
  t.is(text(await guest.call('on')), 'on')
})

test('python guest busy with a slow event does not hold back the answer to a quick one', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import os, time
def handler(context, event):
    while event.body == b'slow' and not os.path.exists('go'):
        time.sleep(0.001)
    return event.body
`,
  )
  await guest.init()
  const { channel } = guest.process
  channel.write(headerOf({ ticket: 1 }), null, Buffer.from('quick'))
  channel.write(headerOf({ ticket: 2 }), null, Buffer.from('slow'))
  channel.flush()
  t.is(text(await guest.result(1)), 'quick')
  writeFileSync(join(guest.directory, 'go'), '')
  t.is(text(await guest.result(2)), 'slow')
})

test('process channel views kept by mistake are empty after close, not unmapped memory', async (t) => {
  const { channel, broken, until } = openHostile(t, 'unknown-kind')
  let kept: Buffer = Buffer.alloc(0)
  const onRecord = channel.onRecord
  channel.onRecord = (view) => {
    kept = view.body
    onRecord(view)
  }
  await until(1)
  await broken
  t.is(kept.toString(), 'whole')
  channel.close()
  t.is(kept.length, 0)
  t.is(channel.poll(1), 0)
  t.notThrows(() => channel.flush())
})

test('body file is gone after it was taken, and the directory after close', (t) => {
  const bodies = new FileBodies()
  const reference = Buffer.from(bodies.put(Buffer.from('large'), false))
  t.is(readdirSync(bodies.directory).length, 1)
  t.is(bodies.take(reference).toString(), 'large')
  t.deepEqual(readdirSync(bodies.directory), [])
  t.throws(() => bodies.take(reference), { code: 'body-missing' })
  bodies.put(Buffer.from('left'), false)
  bodies.close()
  t.false(existsSync(bodies.directory))
})

test('body file is written again when everything was read, and carries no byte of the longer body before', (t) => {
  const bodies = new FileBodies()
  for (const body of ['a long one', 'short', 'a longer one than that'])
    t.is(bodies.take(Buffer.from(bodies.put(Buffer.from(body), true))).toString(), body)
  t.is(readdirSync(bodies.directory).length, 1)
  bodies.put(Buffer.from('second in flight'), false)
  t.is(readdirSync(bodies.directory).length, 2)
  bodies.close()
})

test('body directory of a dead agent is removed, of a living one and of another container kept', (t) => {
  const parent = mkdtempSync(join(tmpdir(), 'dunlin-bodies-'))
  const alive = new FileBodies(parent)
  const dead = alive.directory.replace(`-${process.pid}-`, '-2147483647-')
  mkdirSync(dead)
  mkdirSync(join(parent, 'dunlin-1-2147483647-abc'))
  mkdirSync(join(parent, 'dunlin-other'))
  removeLeftBodies(parent)
  t.is(readdirSync(parent).length, 3)
  t.true(existsSync(alive.directory))
  t.false(existsSync(dead))
  rmSync(parent, { recursive: true })
})

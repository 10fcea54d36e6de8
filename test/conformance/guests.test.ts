/** What every guest does alike: events and answers of every form and size. Each kind has one worker, which all tests of this file share. */
import { Flag, Kind, Tag } from '../../runtime/event/record.ts'
import { bodyOf } from '../../runtime/event/event-writer.ts'
import { resultRecord } from '../../runtime/event/result-record.ts'
import { forEachGuest } from '../support/guests/for-each-guest.ts'

const path = (name: string): readonly [number, string, string] => [Tag.path, name, '']

const SIZES = { '0 B': 0, '1 B': 1, '1 KiB': 1 << 10, '64 KiB': 1 << 16, '1 MiB': 1 << 20, '16 MiB': 16 << 20, '64 MiB': 64 << 20 }

/** Bytes that come back changed by nothing but themselves: all 256 values, and no period that a ring's size would hide. */
function bytesOf(length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let i = 0; i < Math.min(length, 65_521); i++) bytes[i] = (i * 7 + (i >>> 8)) & 0xff
  for (let at = 65_521; at < length; at *= 2) bytes.copy(bytes, at, 0, Math.min(at, length - at))
  return bytes
}

for (const [size, length] of Object.entries(SIZES)) {
  forEachGuest(`echoes a body of ${size} unchanged`, async (t, worker) => {
    const sent = bytesOf(length)
    const { status, body } = await worker.call(sent, { head: [path('/echo')] })
    t.is(status, 200)
    t.is(body.length, length)
    t.true(body.equals(sent))
  })
}

forEachGuest('echoes all 256 values of a byte, and none is taken for text', async (t, worker) => {
  const sent = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  t.deepEqual((await worker.call(sent, { head: [path('/echo')] })).body, sent)
})

forEachGuest('shows every field of an event', async (t, worker) => {
  const { text } = await worker.call('{"t":21.5}', {
    flags: 1 | Flag.retain | Flag.replayed | (2 << 6),
    attempt: 4,
    boot: 4_294_967_295,
    head: [
      path('/describe'),
      [Tag.topic, 'plant/ä/温度', ''],
      [Tag.contentType, 'text/x-plain; charset=utf-8', ''],
      [Tag.method, 'POST', ''],
      [Tag.url, 'http://d/x?y=ü', ''],
      [Tag.header, 'wert ✓', 'X-Ü'],
      [Tag.header, '', 'Empty'],
      [200, 'from the future', ''],
      [Tag.field, '🜁', 'y'],
      [Tag.type, 'reading', ''],
      [Tag.typeVersion, '2', ''],
      [Tag.orderKey, 'k', ''],
      [Tag.shardId, '3', ''],
      [Tag.numShards, '8', ''],
      [Tag.offset, '-1', ''],
    ],
  })
  t.deepEqual(
    text.split('\n').sort(),
    [
      'id=01890a5d-ac96-774b-bcce-b302099a8057',
      'content_type=text/x-plain; charset=utf-8',
      'method=POST',
      'path=/describe',
      'url=http://d/x?y=ü',
      'topic=plant/ä/温度',
      'type=reading',
      'type_version=2',
      'order_key=k',
      'shard_id=3',
      'num_shards=8',
      'offset=-1',
      'qos=1',
      'attempt=4',
      'size=10',
      'boot_id=4294967295',
      'monotonic_ns=987654321098',
      'clock_quality=synced',
      'retain=1',
      'replayed=1',
      'time_ms=1700000000123',
      'trigger=mqtt/sensors',
      'header X-Ü=wert ✓',
      'header Empty=',
      'field y=🜁',
    ].sort(),
  )
})

forEachGuest('shows a header of the longest name and value', async (t, worker) => {
  const name = 'n'.repeat(255)
  const value = 'ü'.repeat(32_767)
  const { text } = await worker.call('', { head: [path('/describe'), [Tag.header, value, name]] })
  t.true(text.includes(`header ${name}=${value}`))
})

forEachGuest('answers with status, headers and content type', async (t, worker) => {
  const answer = await worker.run('status 410', 'header X-Ü wert ✓', 'header empty ', 'type text/html')
  t.deepEqual([answer.status, answer.contentType, answer.headers], [410, 'text/html', { 'X-Ü': 'wert ✓', empty: '' }])
  t.is((await worker.run('status 503')).status, 503)
})

forEachGuest('that throws answers 500 with the error and its stack, and handles the next event', async (t, worker, kind) => {
  const failed = await worker.run('emit out before', 'raise no such thing: ü')
  t.is(failed.status, 500)
  t.is(failed.error, `${kind.raises}no such thing: ü`)
  t.regex(failed.stack ?? '', /fixture/i)
  t.is((await worker.run('get none')).text, '-')
})

forEachGuest('emits and publishes under its event, in order and before its answer', async (t, worker) => {
  const { operations } = await worker.run('emit readings 21.5 °C', 'publish out/ä on', 'emit raw ')
  t.deepEqual(
    operations.map(({ kind, name, body }) => [kind, name, body.toString()]),
    [
      [Kind.emit, 'readings', '21.5 °C'],
      [Kind.publish, 'out/ä', 'on'],
      [Kind.emit, 'raw', ''],
    ],
  )
  t.deepEqual(operations[0]!.headers, { unit: '°C' })
  t.is(operations[0]!.contentType, 'text/plain')
  t.is(operations[1]!.flags & (Flag.qosMask | Flag.retain), 1 | Flag.retain)
})

forEachGuest('emits 1,000 times for one event', async (t, worker) => {
  const { operations } = await worker.run('emits out 1000')
  t.deepEqual(
    operations.map(({ name, body }) => `${name} ${body.toString()}`),
    Array.from({ length: 1000 }, (_, i) => `out ${i}`),
  )
})

forEachGuest('sees absent state, its own changes at once, and what was committed', async (t, worker) => {
  t.is((await worker.run('get k', 'set k eins', 'get k', 'set k zwei ü', 'get k', 'set l neben', 'get l')).text, '-\neins\nzwei ü\nneben')
  t.is((await worker.run('get k', 'delete k', 'get k')).text, 'zwei ü\n-')
  t.is((await worker.run('get k')).text, '-')
  t.false(worker.state.has('k'))
})

forEachGuest('drops what a failed event did to the state', async (t, worker) => {
  await worker.run('set f 1')
  t.is((await worker.run('set f 2', 'raise after')).status, 500)
  t.is((await worker.run('set f 3', 'status 500')).status, 500)
  t.is((await worker.run('get f')).text, '1')
})

forEachGuest('keeps a state value of 4 MiB', async (t, worker) => {
  await worker.run(`fill large ${4 << 20}`)
  t.is(worker.state.get('large')!.length, (4 << 20) + 1)
  t.is((await worker.run('size large')).text, String(4 << 20))
})

forEachGuest('writes state in the form that all languages read', async (t, worker) => {
  await worker.run('set form täxt', 'fill bytes 3')
  t.deepEqual(worker.state.get('form'), Buffer.from('\x01"täxt"'))
  t.deepEqual(worker.state.get('bytes'), Buffer.of(0, 7, 7, 7))
})

forEachGuest('logs at each level with its fields', async (t, worker) => {
  const before = worker.logs.length
  await worker.run('log debug fein', 'log info heiß', 'log warn ✓', 'log error aus')
  const logs = worker.logs.slice(before)
  t.deepEqual(
    logs.map(({ level, message }) => [level, message]),
    [
      [10, 'fein'],
      [20, 'heiß'],
      [30, '✓'],
      [40, 'aus'],
    ],
  )
  for (const { fields } of logs) t.deepEqual(JSON.parse(fields), { celsius: 90, where: 'här' })
})

forEachGuest('prints to the log of its function', async (t, worker) => {
  await worker.run('print laut und grün')
  await worker.until(() => worker.lines.includes('laut und grün'))
  t.true(worker.lines.includes('laut und grün'))
})

forEachGuest('calls another function and gets its answer', async (t, worker) => {
  worker.onCall = (name, record) =>
    resultRecord({
      status: 203,
      contentType: 'text/plain',
      headers: {},
      body: Buffer.from(`${name} got ${bodyOf(record).toString()}`),
      error: undefined,
    })
  t.is((await worker.run('call other frag mich', 'call third x')).text, '203 other got frag mich\n203 third got x')
})

forEachGuest('with many events in flight answers each, in the order they came', async (t, worker) => {
  const count = 1000
  const answers = Array.from({ length: count }, (_, i) => worker.post(`get none\nemit out ${i}\nheader number ${i}`))
  worker.worker.flush()
  const handled = await Promise.all(answers)
  for (const [i, each] of handled.entries()) {
    t.is(each.headers['number'], String(i))
    t.is(each.operations[0]!.body.toString(), String(i))
  }
  t.deepEqual(
    handled.map(({ order }) => order),
    [...handled.keys()].map((i) => i + handled[0]!.order),
  )
})

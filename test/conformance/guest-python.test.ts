/** What only Python has: its forms of an answer, plain and async handlers, nuclio_sdk. What every guest does is in guests.test.ts and guest-life.test.ts. */
import test from 'ava'
import { Kind, Tag } from '../../runtime/event/record.ts'
import { headers, headWith, item, json, PythonGuest, text } from '../support/python-guest.ts'

test('python handler answers in every form', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import nuclio_sdk
def handler(context, event):
    return {
        'none': None, 'str': 'täxt', 'bytes': b'\\x00\\xff', 'dict': {'a': [1, 'ü']}, 'list': [1, 2], 'number': 4.5,
        'tuple': (201, 'made'), 'tuple-dict': (202, {'ok': True}),
        'response': context.Response(body='gone', headers={'X-A': '1'}, content_type='text/html', status_code=410),
        'sdk': nuclio_sdk.Response(body={'b': 2}), 'unavailable': (503, 'later'), 'object': object(), 'status': (1000, ''),
    }[event.body.decode()]
`,
  )
  const ready = await guest.init()
  t.is(ready.kind, Kind.ready)
  t.is(ready.status, 1)
  const form = async (name: string): Promise<unknown[]> => {
    const answer = await guest.call(name)
    return [answer.status, item(answer, Tag.contentType), text(answer)]
  }
  t.deepEqual(await form('none'), [200, undefined, ''])
  t.deepEqual(await form('str'), [200, 'text/plain', 'täxt'])
  t.deepEqual((await guest.call('bytes')).body, Buffer.from([0, 255]))
  t.deepEqual(await form('dict'), [200, 'application/json', '{"a":[1,"ü"]}'])
  t.deepEqual(await form('list'), [200, 'application/json', '[1,2]'])
  t.deepEqual(await form('number'), [200, 'application/json', '4.5'])
  t.deepEqual(await form('tuple'), [201, 'text/plain', 'made'])
  t.deepEqual(await form('tuple-dict'), [202, 'application/json', '{"ok":true}'])
  t.deepEqual(await form('response'), [410, 'text/html', 'gone'])
  t.deepEqual(headers(await guest.call('response')), { 'X-A': '1' })
  t.deepEqual(await form('sdk'), [200, 'application/json', '{"b":2}'])
  t.deepEqual(await form('unavailable'), [503, 'text/plain', 'later'])
  t.is((await guest.call('object')).status, 500)
  t.regex(item(await guest.call('status'), Tag.error)!, /ValueError: .*1000/)
  t.deepEqual(await guest.stop(), { code: 0, signal: null })
})

test('python event is one of nuclio_sdk and has its time to the microsecond', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import nuclio_sdk
def handler(context, event):
    return [isinstance(event, nuclio_sdk.Event), event.timestamp.isoformat(), event.body]
`,
  )
  await guest.init()
  const head = headWith([[Tag.contentType, 'application/json; charset=utf-8']])
  t.deepEqual(json(await guest.call('{"t":21.5}', { head, timeUs: 1_700_000_000_123_456n })), [
    true,
    '2023-11-14T22:13:20.123456+00:00',
    { t: 21.5 },
  ])
})

test('python event whose JSON body cannot be parsed gives its bytes', async (t) => {
  const guest = new PythonGuest(t, 'def handler(context, event):\n    return type(event.body).__name__ + event.body.decode()\n')
  await guest.init()
  t.is(text(await guest.call('{no', { head: headWith([[Tag.contentType, 'application/json']]) })), 'bytes{no')
  t.is(text(await guest.call('{}', { head: headWith([[Tag.topic, 'a/json']]) })), 'bytes{}')
})

test('python handler that raises answers 500 with error and stack, and the next event is handled', async (t) => {
  const guest = new PythonGuest(
    t,
    'def handler(context, event):\n    if event.body == b"bad":\n        raise KeyError("nope")\n    return "ok"\n',
  )
  await guest.init()
  const failed = await guest.call('bad')
  t.is(failed.status, 500)
  t.is(item(failed, Tag.error), "KeyError: 'nope'")
  t.regex(item(failed, Tag.stack)!, /fn\.py", line 3, in handler/)
  t.notRegex(item(failed, Tag.stack)!, /dunlin_guest/)
  t.is(text(await guest.call('good')), 'ok')
})

test('python handler that calls sys.exit ends the worker and keeps the answers before it', async (t) => {
  const guest = new PythonGuest(
    t,
    'import sys\ndef handler(context, event):\n    if event.body == b"exit":\n        sys.exit(3)\n    return event.body\n',
  )
  await guest.init()
  const first = guest.post('a')
  guest.post('exit')
  t.deepEqual(await guest.exit, { code: 3, signal: null })
  t.is(text(await guest.result(first)), 'a')
})

for (const kind of ['', 'async '] as const) {
  test(`python ${kind || 'plain '}handler whose answer is too large fails its event only`, async (t) => {
    const guest = new PythonGuest(
      t,
      `${kind}def handler(context, event):\n    return bytes((64 << 20) + 1) if event.body == b'big' else 'ok'\n`,
    )
    await guest.init()
    const answer = await guest.call('big')
    t.is(answer.status, 500)
    t.regex(item(answer, Tag.error)!, /too large/)
    t.is(text(await guest.call('')), 'ok')
  })
}

for (const [name, code, expected] of [
  ['a module that does not import', 'import not_there_at_all\n', /ModuleNotFoundError/],
  ['a handler that is not there', 'x = 1\n', /Cannot find function 'handler'/],
  ['init_context that raises', 'def init_context(context):\n    1 / 0\ndef handler(context, event): pass\n', /ZeroDivisionError/],
  [
    'async init_context that raises',
    'async def init_context(context):\n    1 / 0\nasync def handler(context, event): pass\n',
    /ZeroDivisionError/,
  ],
] as const) {
  test(`python function with ${name} says INIT_FAILED and exits`, async (t) => {
    const guest = new PythonGuest(t, code)
    const answer = await guest.init()
    t.is(answer.kind, Kind.initFailed)
    t.regex(item(answer, Tag.error)!, expected)
    t.truthy(item(answer, Tag.stack))
    t.is((await guest.exit).code, 1)
  })
}

test('python init_context keeps user data for the handler, and context names the worker', async (t) => {
  const guest = new PythonGuest(
    t,
    `
def init_context(context):
    context.user_data.greeting = 'hi'
    setattr(context.user_data, 'n', 1)
def handler(context, event):
    context.user_data.n += 1
    return [context.user_data.greeting, context.user_data.n, context.worker_id, context.function_name, context.function_version, context.trigger.kind, context.trigger_name]
`,
  )
  await guest.init()
  await guest.call('')
  t.deepEqual(json(await guest.call('')), ['hi', 3, 3, 'thing', 'v7', 'mqtt', 'sensors'])
})

for (const kind of ['', 'async '] as const) {
  test(`python ${kind || 'plain '}handler emits and publishes under its event's ticket, before its result`, async (t) => {
    const guest = new PythonGuest(
      t,
      `
${kind}def handler(context, event):
    context.emit('readings', {'v': 1}, headers={'unit': 'C'})
    context.emit('raw', b'\\x01', content_type='application/octet-stream')
    context.publish('out/a', 'text', qos=1, retain=True)
    try:
        context.publish('out/a', 'text', qos=2)
    except ValueError:
        return 'refused'
`,
    )
    await guest.init()
    const answer = await guest.call('')
    t.is(text(answer), 'refused')
    const [readings, raw] = guest.of(answer.ticket, Kind.emit)
    t.deepEqual(
      [item(readings!, Tag.stream), item(readings!, Tag.contentType), text(readings!), headers(readings!)],
      ['readings', 'application/json', '{"v":1}', { unit: 'C' }],
    )
    t.deepEqual([item(raw!, Tag.stream), item(raw!, Tag.contentType), raw!.body], ['raw', 'application/octet-stream', Buffer.from([1])])
    const [published] = guest.of(answer.ticket, Kind.publish)
    t.deepEqual([item(published!, Tag.topic), text(published!)], ['out/a', 'text'])
    t.is(guest.records.at(-1)!.kind, Kind.result)
  })
}

const COUNTER = (kind: string): string => `
${kind}def handler(context, event):
    n = ${kind ? 'await ' : ''}context.state.get('n', 0)
    context.state.set('n', n + 1)
    if event.body == b'fail':
        raise RuntimeError('after set')
    if event.body == b'busy':
        return 503, 'later'
    if event.body == b'delete':
        context.state.delete('n')
        return ${kind ? 'await ' : ''}context.state.get('n', 'none')
    return str(n) + '/' + str(${kind ? 'await ' : ''}context.state.get('n'))
`

test('python state is asked for again after an event came a second time, and always when not exclusive', async (t) => {
  const first = new PythonGuest(t, COUNTER(''))
  let asked = 0
  first.onRequest = (record) => {
    asked++
    first.answerState(record, null)
  }
  await first.init()
  await first.call('')
  t.is(text(await first.call('', { attempt: 2 })), '0/1')
  t.is(asked, 2)
  const second = new PythonGuest(t, COUNTER(''))
  second.onRequest = (record) => second.answerState(record, Buffer.from('\x0141'))
  await second.init('fn:handler', { stateExclusive: false })
  await second.call('')
  t.is(text(await second.call('')), '41/42')
})

test('python state keeps bytes as bytes and text as text', async (t) => {
  const guest = new PythonGuest(
    t,
    `
def handler(context, event):
    for value in (b'\\x01\\x02', '', 'tä', None, [1, {'a': 2}], 0):
        context.state.set('k', value)
        assert context.state.get('k') == value and type(context.state.get('k')) is type(value), value
    return 'same'
`,
  )
  await guest.init()
  t.is(text(await guest.call('')), 'same')
})

test('python handler that waits for state while events come answers them in order', async (t) => {
  const guest = new PythonGuest(t, `def handler(context, event):\n    return str(context.state.get(event.body.decode()))\n`)
  let held: (() => void) | undefined
  guest.onRequest = (record) => {
    const answer = (): void => guest.answerState(record, Buffer.from(`\x01"${item(record, Tag.key)}!"`))
    if (held === undefined) held = answer
    else answer()
  }
  await guest.init()
  const tickets = ['a', 'b', 'c'].map((body) => guest.post(body))
  await guest.until((record) => record.kind === Kind.stateGet)
  held!()
  t.deepEqual(await Promise.all(tickets.map(async (ticket) => text(await guest.result(ticket)))), ['a!', 'b!', 'c!'])
  t.deepEqual(
    guest.records.filter((record) => record.kind === Kind.result).map((record) => record.ticket),
    tickets,
  )
})

test('python handler that waits for state keeps the large body of an event that came meanwhile', async (t) => {
  const guest = new PythonGuest(
    t,
    'def handler(context, event):\n    context.state.get("a")\n    context.state.get("b")\n    return event.body\n',
    { ringBytes: 16_384 },
  )
  const large = (letter: string): Buffer => Buffer.alloc(9000, letter)
  const tickets: number[] = []
  guest.onRequest = (record) => {
    // The second comes while "a" waits; it is read, and not handled, when the third is written.
    if (tickets.length < 3) tickets.push(guest.post(large('xyz'[tickets.length]!)))
    guest.answerState(record, null)
  }
  await guest.init('fn:handler')
  tickets.push(guest.post(large('x')))
  await guest.until((record) => record.kind === Kind.result)
  for (const [i, ticket] of tickets.entries()) t.true((await guest.result(ticket)).body.equals(large('xyz'[i]!)), `body ${i}`)
})

for (const kind of ['', 'async '] as const) {
  test(`python ${kind || 'plain '}handler calls another function and gets a Response`, async (t) => {
    const wait = kind ? 'await ' : ''
    const guest = new PythonGuest(
      t,
      `
import nuclio_sdk
${kind}def handler(context, event):
    r = ${wait}context.platform.call_function('other', nuclio_sdk.Event(body={'q': 1}, path='/p', method='PUT', headers={'h': 'v'}))
    return [r.status_code, r.body, r.content_type, r.headers]
`,
    )
    guest.onRequest = (record) => {
      t.deepEqual(
        [item(record, Tag.function), item(record, Tag.path), item(record, Tag.method), text(record)],
        ['other', '/p', 'PUT', '{"q":1}'],
      )
      const head = headWith([
        [Tag.contentType, 'application/json'],
        [Tag.header, 'b', 'a'],
      ])
      guest.send(Kind.callResult, record.ticket, head.bytes(), Buffer.from('{"r":2}'), { status: 203 })
    }
    await guest.init()
    t.deepEqual(json(await guest.call('')), [203, { r: 2 }, 'application/json', { a: 'b' }])
  })
}

test('python call_function without an answer times out', async (t) => {
  const guest = new PythonGuest(
    t,
    `
def handler(context, event):
    try:
        context.platform.call_function('other', b'', timeout=0.01)
    except TimeoutError:
        return 'late'
`,
  )
  await guest.init()
  t.is(text(await guest.call('')), 'late')
})

test('python logger sends level, text and fields, with the event it belongs to', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import threading
def init_context(context):
    context.logger.info('starting')
def handler(context, event):
    context.logger.warn_with('hot', celsius=90, where='här')
    context.logger.get_child('sub').debug('%d of %s', 1, 'two')
    thread = threading.Thread(target=lambda: context.logger.error('from thread'))
    thread.start(); thread.join()
    print('printed')
`,
  )
  await guest.init()
  const { ticket } = await guest.call('')
  const logs = guest.records.filter((record) => record.kind === Kind.log)
  t.deepEqual(
    logs.map((record) => [record.status, text(record), record.ticket === ticket]),
    [
      [20, 'starting', false],
      [30, 'hot', true],
      [10, '1 of two', true],
      [40, 'from thread', true],
    ],
  )
  t.deepEqual(JSON.parse(item(logs[1]!, Tag.fields)!), { celsius: 90, where: 'här' })
  t.deepEqual(JSON.parse(item(logs[2]!, Tag.fields)!), { logger: 'sub' })
  await guest.stop()
  t.is(guest.output, 'printed\n')
})

test('python async handlers run side by side up to concurrency and answer when done', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import asyncio
gate = asyncio.Event()
inside = 0
most = 0
async def handler(context, event):
    global inside, most
    if event.body == b'open':
        gate.set()
        return str(most)
    inside += 1
    most = max(most, inside)
    context.emit('s', event.body)
    await gate.wait()
    inside -= 1
    context.emit('t', event.body)
    return event.body
`,
  )
  const ready = await guest.init('fn:handler', { concurrency: 9 })
  t.is(ready.status, 0)
  const tickets = Array.from({ length: 8 }, (_, i) => guest.post(`e${i}`))
  t.is(text(await guest.call('open')), '8')
  for (const [i, ticket] of tickets.entries()) {
    t.is(text(await guest.result(ticket)), `e${i}`)
    t.deepEqual(guest.of(ticket, Kind.emit).map(text), [`e${i}`, `e${i}`])
  }
})

test('python async handler over its concurrency waits and is answered', async (t) => {
  const guest = new PythonGuest(
    t,
    'import asyncio\nasync def handler(context, event):\n    await asyncio.sleep(0)\n    return event.body\n',
  )
  await guest.init('fn:handler', { concurrency: 2 })
  const tickets = Array.from({ length: 50 }, (_, i) => guest.post(String(i)))
  for (const [i, ticket] of tickets.entries()) t.is(text(await guest.result(ticket)), String(i))
})

test('python emit after its event was answered is refused', async (t) => {
  const guest = new PythonGuest(
    t,
    `
import asyncio
late = []
async def handler(context, event):
    async def after():
        await asyncio.sleep(0.001)
        try:
            context.emit('s', b'')
        except RuntimeError as error:
            late.append(str(error))
    if event.body == b'ask':
        while not late:
            await asyncio.sleep(0.001)
        return late[0]
    asyncio.get_running_loop().create_task(after())
`,
  )
  await guest.init()
  await guest.call('')
  t.regex(text(await guest.call('ask')), /No event is being handled/)
  t.false(guest.records.some((record) => record.kind === Kind.emit))
})

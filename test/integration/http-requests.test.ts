import test from 'ava'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ask, serve, withRig } from '../support/http-rig.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { sendRaw } from '../support/raw-http.ts'
import { tempDir } from '../support/temp-dir.ts'

const MIRROR = `export const handler = (context, event) => ({ method: event.method, path: event.path, url: event.url, fields: event.fields, headers: event.headers, type: event.type, id: event.id, body: event.rawBody.toString() })`

test.serial(
  'http path parameters and query are fields, headers have lower-case names and are found in any spelling',
  withRig,
  async (t, rig) => {
    await serve(
      rig,
      `export const handler = (context, event) => ({ fields: event.fields, path: event.path, names: Object.keys(event.headers), given: event.headers['X-Given'], has: 'X-given' in event.headers })`,
      '{ kind: http, attributes: { paths: ["/devices/:id/state"] } }',
    )
    const port = rig.http.address!.port
    const answer = await ask(port, '/devices/a%2Fb/state/more?id=query&x=1%202&x=3', {
      headers: ['Host', 'localhost', 'X-Given', 'a', 'x-GIVEN', 'b', 'Cookie', 'c=1', 'cookie', 'd=2'],
    })
    const seen = JSON.parse(answer.body) as { fields: object; path: string; names: string[]; given: string; has: boolean }
    t.deepEqual(seen.fields, { id: 'a/b', x: '3' })
    t.is(seen.path, '/devices/a/b/state/more')
    t.is(seen.given, 'a, b')
    t.true(seen.has)
    t.true(seen.names.every((name) => name === name.toLowerCase()))
  },
)

test.serial('http header in UTF-8 arrives as it was written', withRig, async (t, rig) => {
  await serve(rig, `export const handler = (context, event) => event.headers['x-name']`)
  const said = await sendRaw(
    rig.http.address!.port,
    `GET /f HTTP/1.1\r\nhost: localhost\r\nx-name: ${Buffer.from('Zoë €').toString('latin1')}\r\nconnection: close\r\n\r\n`,
  )
  t.true(Buffer.from(said, 'latin1').toString('utf8').endsWith('Zoë €'))
})

test.serial('http trigger with methods refuses others with 405 and Allow, and answers OPTIONS and HEAD', withRig, async (t, rig) => {
  await serve(rig, MIRROR, '{ kind: http, attributes: { methods: [get, POST] } }')
  const port = rig.http.address!.port
  t.is((await ask(port, '/f', { method: 'GET' })).status, 200)
  const refused = await ask(port, '/f', { method: 'DELETE' })
  t.is(refused.status, 405)
  t.is(refused.headers.allow, 'GET, POST, HEAD, OPTIONS')
  t.like(await ask(port, '/f', { method: 'OPTIONS' }), { status: 204, body: '' })
  const head = await ask(port, '/f', { method: 'HEAD' })
  t.is(head.status, 200)
  t.is(head.body, '')
  t.true(Number(head.headers['content-length']) > 0)
  t.true((await sendRaw(port, 'OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')).startsWith('HTTP/1.1 204'))
})

test.serial('http path that nobody serves is 404, and names the paths there are on this machine only', withRig, async (t, rig) => {
  await serve(rig, MIRROR)
  const port = rig.http.address!.port
  t.like(await ask(port, '/nothing'), { status: 404, body: 'There is no function at this path; there are: /f\n' })
  t.is((await ask(port, '/nothing', { headers: { 'x-forwarded-for': '10.0.0.1' } })).body, 'There is no function at this path\n')
})

test.serial('http request for a host of somebody else is refused on loopback', withRig, async (t, rig) => {
  await serve(rig, MIRROR)
  const answer = await ask(rig.http.address!.port, '/f', { headers: { host: 'rebound.example' } })
  t.is(answer.status, 403)
  t.regex(answer.body, /allowedHosts/)
})

test.serial('http answer of a worker that died is 502, and the next one is served', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => event.path === '/f/die' ? process.exit(3) : 'ok'`,
    '{ kind: http }',
    '  isolation: process',
  )
  const port = rig.http.address!.port
  t.is((await ask(port, '/f/die')).status, 502)
  t.is((await ask(port, '/f')).body, 'ok')
})

test.serial('http request that finds no worker is 503 with Retry-After', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = () => new Promise((resolve) => setTimeout(resolve, 300, 'late'))`,
    '{ kind: http, concurrency: 1, workerAvailabilityTimeoutMilliseconds: 50 }',
  )
  const port = rig.http.address!.port
  const slow = ask(port, '/f')
  await rig.until(() => rig.processor.status()[0]!.workers.inFlight === 1)
  const refused = await ask(port, '/f')
  t.is(refused.status, 503)
  t.is(refused.headers['retry-after'], '1')
  t.is((await slow).body, 'late')
})

test.serial('http body that is too large is 413 before it is read, and with Expect it is never asked for', withRig, async (t, rig) => {
  await serve(rig, MIRROR, '{ kind: http, attributes: { maxRequestBodySize: 1000 } }')
  const port = rig.http.address!.port
  const announced = await sendRaw(port, 'POST /f HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n\r\n')
  t.true(announced.startsWith('HTTP/1.1 413'))
  const fits = await sendRaw(
    port,
    'POST /f HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\nexpect: 100-continue\r\nconnection: close\r\n\r\nhi',
  )
  t.regex(fits, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200/)
  // The whole of a large body was sent all the same: the client sees the answer, and no reset.
  t.is((await ask(port, '/f', { body: Buffer.alloc(3_000_000) })).status, 413)
  t.is((await ask(port, '/f', { body: Buffer.alloc(3_000_000), headers: { 'transfer-encoding': 'chunked' } })).status, 413)
})

test.serial('http call with x-nuclio-log-level gets the log lines of this call alone', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => { context.logger.debugWith('seen', { n: Number(event.body) }); context.logger.info('done'); return 'ok' }`,
  )
  const port = rig.http.address!.port
  t.is((await ask(port, '/f', { body: '1' })).headers['x-nuclio-logs'], undefined)
  const [asked] = await Promise.all([
    ask(port, '/f', { body: '2', headers: { 'x-nuclio-log-level': 'debug' } }),
    ask(port, '/f', { body: '3', headers: { 'x-nuclio-log-level': 'debug' } }),
  ])
  const lines = JSON.parse(asked.headers['x-nuclio-logs'] as string) as { level: string; message: string; with?: object }[]
  t.like(lines, [
    { level: 'debug', message: 'seen', with: { n: 2 } },
    { level: 'info', message: 'done' },
  ])
  t.is(lines.length, 2)
  const far = await ask(port, '/f', { body: '4', headers: { 'x-nuclio-log-level': 'debug', 'x-forwarded-for': '10.0.0.1' } })
  t.is(far.headers['x-nuclio-logs'], undefined)
})

test.serial(
  'CloudEvent in binary and in structured mode is the same to a handler, and has the same id when it is sent again',
  withRig,
  async (t, rig) => {
    await serve(rig, MIRROR)
    const port = rig.http.address!.port
    const attributes = { specversion: '1.0', id: '7', source: '/line/1', type: 'reading', subject: 'Euro €', ext: 'x' }
    const binary = await ask(port, '/f', {
      body: '{"a":1}',
      headers: {
        'content-type': 'application/json',
        'ce-specversion': '1.0',
        'ce-id': '7',
        'ce-source': '/line/1',
        'ce-type': 'reading',
        'ce-subject': 'Euro%20%E2%82%AC',
        'ce-ext': 'x',
      },
    })
    const structured = await ask(port, '/f', {
      body: JSON.stringify({ ...attributes, data: { a: 1 } }),
      headers: { 'content-type': 'application/cloudevents+json' },
    })
    type Seen = { id: string; type: string; body: string; headers: Record<string, string> }
    const [one, two] = [JSON.parse(binary.body) as Seen, JSON.parse(structured.body) as Seen]
    for (const seen of [one, two]) {
      t.is(seen.type, 'reading')
      t.is(seen.body, '{"a":1}')
      t.is(seen.headers['content-type'], 'application/json')
      for (const [name, value] of Object.entries(attributes)) t.is(seen.headers[`ce-${name}`], value)
    }
    t.is(one.id, two.id)
  },
)

test.serial('CloudEvent that is not valid is 400 with what is wrong, and one in another format is 415', withRig, async (t, rig) => {
  await serve(rig, MIRROR)
  const port = rig.http.address!.port
  const send = (contentType: string, body: string) => ask(port, '/f', { body, headers: { 'content-type': contentType } })
  t.like(await send('application/cloudevents+json', '{"specversion":"1.0","source":"/a","type":"b"}'), {
    status: 400,
    body: 'Cannot read the CloudEvent: attribute id is missing or empty\n',
  })
  t.is((await send('application/cloudevents-batch+json', '{}')).status, 400)
  t.is((await send('application/cloudevents+xml', '<event/>')).status, 415)
  t.is((await ask(port, '/f', { headers: { 'ce-specversion': '1.0', 'ce-id': '1' } })).status, 400)
})

test.serial('batch of CloudEvents gives an event each, and an answer for each in their order', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => { if (event.headers['ce-id'] === 'bad') throw new Error('no good'); return { id: event.headers['ce-id'] } }`,
  )
  const port = rig.http.address!.port
  const batch = (...ids: string[]) =>
    ask(port, '/f', {
      body: JSON.stringify(ids.map((id) => ({ specversion: '1.0', id, source: '/s', type: 't' }))),
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    })
  const good = await batch('1', '2', '3')
  t.is(good.status, 200)
  t.deepEqual(
    (JSON.parse(good.body) as { status: number; body: unknown }[]).map(({ status, body }) => [status, body]),
    [
      [200, { id: '1' }],
      [200, { id: '2' }],
      [200, { id: '3' }],
    ],
  )
  const bad = await batch('1', 'bad')
  t.is(bad.status, 500)
  t.like(JSON.parse(bad.body), [{ status: 200 }, { status: 500, error: 'Error: no good' }])
  t.like(await batch(), { status: 200, body: '[]' })
})

test.serial('batch of CloudEvents with durable delivery is 202 when all are committed', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => context.emit('out', event.headers['ce-id'])`,
    '{ kind: http, delivery: durable, orderKey: source }',
  )
  const body = JSON.stringify(['1', '2'].map((id) => ({ specversion: '1.0', id, source: '/s', type: 't' })))
  const answer = await ask(rig.http.address!.port, '/f', { body, headers: { 'content-type': 'application/cloudevents-batch+json' } })
  t.is(answer.status, 202)
  t.is((JSON.parse(answer.body) as unknown[]).length, 2)
  await rig.until(async () => (await rig.rows('out')).length === 2)
  t.deepEqual(await rig.rows('out'), ['1', '2'])
})

test.serial('answer with ce-type goes out as a CloudEvent', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context) => new context.Response({ statusCode: 200, body: 'x', headers: { 'ce-type': 'done', 'ce-subject': 'a b' } })`,
  )
  t.like((await ask(rig.http.address!.port, '/f')).headers, {
    'ce-type': 'done',
    'ce-subject': 'a%20b',
    'ce-specversion': '1.0',
    'ce-source': '/f',
  })
})

test.serial('handler sends a file of the named folder, and nothing from outside of it', async (t) => {
  const folder = path.join(tempDir(t), 'files')
  mkdirSync(folder)
  writeFileSync(path.join(folder, 'a.bin'), Buffer.alloc(300_000, 7))
  writeFileSync(path.join(folder, '..', 'secret'), 'secret')
  symlinkSync('../secret', path.join(folder, 'link'))
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    const source = `export const handler = (context, event) => new context.Response({ contentType: 'application/x', headers: { 'X-nuclio-filestream-path': event.body.toString() } })`
    await serve(rig, source, `{ kind: http, attributes: { fileStreamFolder: ${folder} } }`)
    const file = (name: string) => ask(rig.http.address!.port, '/f', { body: name })
    const answer = await file('a.bin')
    t.is(answer.status, 200)
    t.is(answer.headers['content-length'], '300000')
    t.is(answer.headers['content-type'], 'application/x')
    t.is(answer.headers['x-nuclio-filestream-path'], undefined)
    t.is(Buffer.byteLength(answer.body), 300_000)
    t.is((await file(path.join(folder, 'a.bin'))).status, 200)
    t.is((await file('missing')).status, 404)
    for (const name of ['../secret', 'link', '/etc/hostname', '.', '']) t.is((await file(name)).status, 500, name)
  } finally {
    await rig.close()
  }
})

test.serial('durable http request on a full disk is 507', async (t) => {
  const rig = await ProcessorRig.open(tempDir(t), { maxBytes: 16 * 1024 * 1024 })
  try {
    await serve(rig, `export const handler = () => new Promise(() => {})`, '{ kind: http, delivery: durable }')
    const port = rig.http.address!.port
    let status = 202
    for (let i = 0; status === 202 && i < 20; i++) status = (await ask(port, '/f', { body: Buffer.alloc(2 * 1024 * 1024, i) })).status
    t.is(status, 507)
  } finally {
    await rig.close()
  }
})

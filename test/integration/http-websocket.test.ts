import test from 'ava'
import { once } from 'node:events'
import { WebSocket, type ClientOptions } from 'ws'
import { ask, serve, withRig } from '../support/http-rig.ts'
import { openRaw } from '../support/raw-http.ts'

/** Resolves when it is open, rejects with the status of a refusal. */
function open(port: number, path: string, options: ClientOptions = {}): Promise<WebSocket> {
  const client = new WebSocket(`ws://127.0.0.1:${port}${path}`, options)
  return new Promise((resolve, reject) => {
    client.once('open', () => resolve(client))
    client.once('unexpected-response', (_request, response) => {
      reject(new Error(String(response.statusCode)))
      response.resume()
      client.on('error', () => {})
      client.terminate()
    })
    client.once('error', reject)
  })
}

/** The next `count` messages, as text; binary ones with a mark. */
function messages(client: WebSocket, count: number): Promise<string[]> {
  const got: string[] = []
  return new Promise((resolve) => {
    client.on('message', (data, isBinary) => {
      got.push((isBinary ? 'binary ' : '') + (data as Buffer).toString())
      if (got.length === count) resolve(got)
    })
  })
}

test.serial('websocket message is an event, and the answer is a message, text or binary by its content type', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => {
    const text = event.rawBody.toString()
    if (text === 'binary') return Buffer.from('bytes')
    if (text === 'silent') return
    if (text === 'fail') throw new Error('no good')
    return { text, type: event.type, path: event.path, room: event.fields.room, ids: typeof event.fields.connectionId, cookie: event.headers.cookie, contentType: event.contentType }
  }`,
    '{ kind: http, attributes: { websocket: true, paths: ["/rooms/:room"] } }',
  )
  const client = await open(rig.http.address!.port, '/rooms/7?x=1', { headers: { cookie: 'a=b' } })
  const got = messages(client, 4)
  for (const text of ['hello', 'binary', 'silent', 'fail']) client.send(text)
  client.send(Buffer.from([1]))
  const [hello, binary, failed, bytes] = await got
  t.deepEqual(JSON.parse(hello!), {
    text: 'hello',
    type: 'websocket',
    path: '/rooms/7',
    room: '7',
    ids: 'string',
    cookie: 'a=b',
    contentType: 'text/plain; charset=utf-8',
  })
  t.is(binary, 'binary bytes')
  t.deepEqual(JSON.parse(failed!), { status: 500, error: 'Error: no good' })
  t.like(JSON.parse(bytes!), { contentType: 'application/octet-stream' })
  client.close()
  await once(client, 'close')
  t.is((await ask(rig.http.address!.port, '/rooms/7', { body: 'plain' })).status, 200)
})

test.serial(
  'websocket messages of one connection are handled and answered in their order, however fast they come',
  withRig,
  async (t, rig) => {
    await serve(
      rig,
      `export const handler = async (context, event) => { await new Promise((resolve) => setTimeout(resolve, Math.random() * 3)); return event.rawBody }`,
      '{ kind: http, attributes: { websocket: true } }',
    )
    const port = rig.http.address!.port
    const clients = await Promise.all([open(port, '/f'), open(port, '/f')])
    const sent = Array.from({ length: 200 }, (_, i) => `binary ${i}`)
    const got = clients.map((client) => messages(client, sent.length))
    for (const client of clients) for (let i = 0; i < sent.length; i++) client.send(String(i))
    for (const one of await Promise.all(got)) t.deepEqual(one, sent)
    for (const client of clients) client.terminate()
  },
)

test.serial(
  'websocket connection of a page from elsewhere is refused, of a named one and of the server itself taken',
  withRig,
  async (t, rig) => {
    await serve(
      rig,
      `export const handler = () => 'ok'`,
      '{ kind: http, attributes: { websocket: { allowedOrigins: ["https://shop.example"], maxConnections: 2 } } }',
    )
    const port = rig.http.address!.port
    await t.throwsAsync(open(port, '/f', { origin: 'https://evil.example' }), { message: '403' })
    await t.throwsAsync(open(port, '/f', { headers: { host: 'rebound.example' } }), { message: '403' })
    const clients = [
      await open(port, '/f', { origin: 'https://shop.example' }),
      await open(port, '/f', { origin: `http://127.0.0.1:${port}` }),
    ]
    await t.throwsAsync(open(port, '/f'), { message: '503' })
    for (const client of clients) client.terminate()
  },
)

test.serial(
  'websocket is taken at its own paths only, and an offer of another protocol is answered as a request',
  withRig,
  async (t, rig) => {
    await serve(rig, `export const handler = () => 'ok'`, '{ kind: http, attributes: { paths: [/plain], websocket: [/live] } }')
    const port = rig.http.address!.port
    await t.throwsAsync(open(port, '/plain'), { message: '426' })
    await t.throwsAsync(open(port, '/none'), { message: '404' })
    t.is((await ask(port, '/live')).status, 426)
    t.is((await ask(port, '/plain', { headers: { upgrade: 'h2c', connection: 'upgrade' } })).body, 'ok')
    const client = await open(port, '/live')
    const got = messages(client, 1)
    client.send('x')
    t.deepEqual(await got, ['ok'])
    client.terminate()
  },
)

test.serial(
  'websocket message that is too large ends the connection with 1009, one that is no UTF-8 with 1007',
  withRig,
  async (t, rig) => {
    await serve(rig, `export const handler = () => 'ok'`, '{ kind: http, attributes: { websocket: { maxMessageSize: 1KiB } } }')
    const port = rig.http.address!.port
    const large = await open(port, '/f')
    large.send('x'.repeat(2_000))
    t.is((await once(large, 'close'))[0], 1009)
    const broken = await open(port, '/f')
    broken.send(Buffer.from([0xff]), { binary: false })
    t.is((await once(broken, 'close'))[0], 1007)
  },
)

test.serial('websocket connection whose client does not answer pings is ended, and those that do stay', withRig, async (t, rig) => {
  await serve(rig, `export const handler = () => 'ok'`, '{ kind: http, attributes: { websocket: { pingInterval: 200ms } } }')
  const port = rig.http.address!.port
  const good = await open(port, '/f')
  const silent = openRaw(port)
  silent.socket.write(
    'GET /f HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
  )
  t.regex(await silent.closed, /^HTTP\/1\.1 101/)
  t.is(good.readyState, WebSocket.OPEN)
  good.terminate()
})

test.serial('websocket connections are closed with 1001 when the function stops', withRig, async (t, rig) => {
  await serve(rig, `export const handler = () => 'ok'`, '{ kind: http, attributes: { websocket: true } }')
  const client = await open(rig.http.address!.port, '/f')
  const closed = once(client, 'close')
  await rig.processor.deactivate('f', 100)
  t.is((await closed)[0], 1001)
})

test.serial('websocket message with durable delivery is answered with its id when it is committed', withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = (context, event) => context.emit('out', event.id)`,
    '{ kind: http, delivery: durable, attributes: { websocket: true } }',
  )
  const client = await open(rig.http.address!.port, '/f')
  const got = messages(client, 1)
  client.send('x')
  const { id } = JSON.parse((await got)[0]!) as { id: string }
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), [id])
  client.terminate()
})

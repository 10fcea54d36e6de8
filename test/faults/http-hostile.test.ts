/** What reaches an HTTP port that anybody can reach: T7 (malformed and smuggled requests), T8 (slow ones), T9 (poisoned content). */
import test, { type ExecutionContext } from 'ava'
import { HTTP_LIMITS, httpServerOn, type HttpLimits, type HttpServerConfig } from '../../config/http-server.ts'
import { ask, serve } from '../support/http-rig.ts'
import { ProcessorRig } from '../support/processor-rig.ts'
import { openRaw, sendRaw, type RawClient } from '../support/raw-http.ts'
import { tempDir } from '../support/temp-dir.ts'

const ECHO = `let count = 0
export const handler = (context, event) => {
  if (event.path === '/f/count') return String(count)
  count++
  if (event.path === '/f/large') return Buffer.alloc(32 * 1024 * 1024, 120)
  return { path: event.path, body: event.rawBody.toString(), own: {}.polluted === undefined, headers: event.headers, fields: event.fields }
}`

async function withLimits(
  t: ExecutionContext,
  limits: Partial<HttpLimits>,
  run: (rig: ProcessorRig, port: number) => Promise<void>,
  trigger?: string,
) {
  const server = httpServerOn({ host: '127.0.0.1', port: 0 })
  const rig = await ProcessorRig.open(tempDir(t), { http: { ...server, limits: { ...HTTP_LIMITS, ...limits } } })
  try {
    await serve(rig, ECHO, trigger)
    await run(rig, rig.http.address!.port)
  } finally {
    await rig.close()
  }
}

function withStall(stallTimeoutMs: number): HttpServerConfig {
  return { ...httpServerOn({ host: '127.0.0.1', port: 0 }), limits: { ...HTTP_LIMITS, stallTimeoutMs } }
}

const HEAD = 'POST /f HTTP/1.1\r\nhost: localhost\r\n'
const NEXT = 'GET /f/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n'

/** Each is answered with 400 and the connection closed; whatever follows is no request. */
const REFUSED: Record<string, string> = {
  'Content-Length and Transfer-Encoding (CL.TE)': `${HEAD}content-length: 6\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'Transfer-Encoding before Content-Length (TE.CL)': `${HEAD}transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n5c\r\n${NEXT}0\r\n\r\n`,
  'two different Content-Lengths': `${HEAD}content-length: 0\r\ncontent-length: 44\r\n\r\n${NEXT}`,
  'the same Content-Length twice': `${HEAD}content-length: 0\r\ncontent-length: 0\r\n\r\n${NEXT}`,
  'a list as Content-Length': `${HEAD}content-length: 0, 44\r\n\r\n${NEXT}`,
  'a Content-Length with a sign': `${HEAD}content-length: +5\r\n\r\n${NEXT}`,
  'a Content-Length in hex': `${HEAD}content-length: 0x0\r\n\r\n${NEXT}`,
  'a negative Content-Length': `${HEAD}content-length: -1\r\n\r\n${NEXT}`,
  'an encoding that is not chunked': `${HEAD}transfer-encoding: identity\r\n\r\n${NEXT}`,
  'chunked that is not last': `${HEAD}transfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n${NEXT}`,
  'a chunk size that is none': `${HEAD}transfer-encoding: chunked\r\n\r\n0x\r\n\r\n${NEXT}`,
  'a chunk that is longer than it says': `${HEAD}transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${NEXT}`,
  'a space before the colon': `${HEAD}content-length : 0\r\n\r\n${NEXT}`,
  'a folded header (obs-fold)': `${HEAD}transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n${NEXT}`,
  'a header line without a colon': `${HEAD}nothing\r\n\r\n${NEXT}`,
  'bare LF at the end of a header': `POST /f HTTP/1.1\r\nhost: localhost\ncontent-length: 0\r\n\r\n${NEXT}`,
  'bare CR in a header': `${HEAD}x-a: b\rcontent-length: 5\r\n\r\n${NEXT}`,
  'U+0000 in a header': `${HEAD}x-a: b\u0000c\r\n\r\n${NEXT}`,
  'U+0000 in the path': `GET /f\u0000 HTTP/1.1\r\nhost: localhost\r\n\r\n${NEXT}`,
  'a space in the path': `GET /f g HTTP/1.1\r\nhost: localhost\r\n\r\n${NEXT}`,
  'a version that is none': `GET /f HTTP/9.9\r\nhost: localhost\r\n\r\n${NEXT}`,
  'a method that is none': `G(T /f HTTP/1.1\r\nhost: localhost\r\n\r\n${NEXT}`,
}

test.serial('http request that two servers would read differently is 400, and nothing behind it is a request', async (t) => {
  await withLimits(t, {}, async (_, port) => {
    for (const [what, bytes] of Object.entries(REFUSED)) {
      const said = await sendRaw(port, bytes)
      t.true(said.startsWith('HTTP/1.1 400'), `${what}: ${said.slice(0, 200)}`)
      t.is(said.split('HTTP/1.1 ').length, 2, what)
    }
    t.is((await ask(port, '/f/count')).body, '0')
  })
})

test.serial('http request with two Host headers, or none, or an encoded NUL is 400', async (t) => {
  await withLimits(t, {}, async (_, port) => {
    const status = async (bytes: string) => Number((await sendRaw(port, bytes)).slice(9, 12))
    const rest = 'connection: close\r\n\r\n'
    t.is(await status(`GET /f HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n${rest}`), 400)
    t.is(await status(`GET /f HTTP/1.1\r\nhost: localhost\r\nHOST: 127.0.0.1\r\n${rest}`), 400)
    t.is(await status(`GET /f HTTP/1.1\r\n${rest}`), 400)
    t.is(await status(`GET /f%00 HTTP/1.1\r\nhost: localhost\r\n${rest}`), 400)
    t.is(await status(`GET /f/../x HTTP/1.1\r\nhost: localhost\r\n${rest}`), 400)
    t.is(await status(`POST /f HTTP/1.1\r\nhost: localhost\r\ncontent-type: a/b\r\ncontent-type: c/d\r\n${rest}`), 400)
    t.is(await status('GET /f HTTP/1.0\r\n\r\n'), 200)
    t.is((await ask(port, '/f/count')).body, '1')
  })
})

test.serial('http request with headers that are too long or too many is 431', async (t) => {
  await withLimits(t, {}, async (_, port) => {
    t.is((await ask(port, '/f', { headers: { 'x-long': 'x'.repeat(16_000) } })).status, 200)
    t.is((await ask(port, '/f', { headers: { 'x-long': 'x'.repeat(17_000) } })).status, 431)
    t.is((await ask(port, `/f?${'x'.repeat(17_000)}`)).status, 431)
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_value, i) => [`x-${i}`, 'y']))
    t.is((await ask(port, '/f', { headers: many(90) })).status, 200)
    t.is((await ask(port, '/f', { headers: many(150) })).status, 431)
  })
})

/** More than a home network has; each costs the server a socket. */
const ATTACKERS = 200

/** While `attack` goes on, a client that behaves is served; then the attackers are cut off. */
async function besieged(t: ExecutionContext, limits: Partial<HttpLimits>, attack: (client: RawClient) => void): Promise<void> {
  await withLimits(t, limits, async (_, port) => {
    const attackers = Array.from({ length: ATTACKERS }, () => openRaw(port))
    for (const client of attackers) attack(client)
    for (let i = 0; i < 20; i++) t.is((await ask(port, '/f')).status, 200)
    await Promise.all(attackers.map(({ closed }) => closed))
    t.is((await ask(port, '/f')).status, 200)
  })
}

test.serial('http clients that send a header now and then are cut off, and others are served', async (t) => {
  await besieged(t, { headersTimeoutMs: 1_000 }, ({ socket }) => {
    socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\n')
    const timer = setInterval(() => socket.write('x-a: b\r\n'), 200)
    socket.on('close', () => clearInterval(timer))
  })
})

test.serial('http clients that say nothing are cut off', async (t) => {
  await besieged(t, { headersTimeoutMs: 1_000 }, () => {})
})

test.serial('http clients that send a body drop by drop are cut off, and others are served', async (t) => {
  await besieged(t, { stallTimeoutMs: 1_000 }, ({ socket }) => {
    socket.write(`${HEAD}content-length: 100000\r\n\r\n`)
    const timer = setInterval(() => socket.write('x'), 200)
    socket.on('close', () => clearInterval(timer))
  })
})

test.serial('http clients that do not read what they asked for are cut off', async (t) => {
  await withLimits(t, { stallTimeoutMs: 500 }, async (rig, port) => {
    const attackers = Array.from({ length: 5 }, () => openRaw(port))
    for (const { socket } of attackers) {
      socket.pause()
      socket.write('GET /f/large HTTP/1.1\r\nhost: localhost\r\n\r\n')
    }
    t.is((await ask(port, '/f')).status, 200)
    while (rig.http.connections > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    // They see it when they look.
    for (const { socket, closed } of attackers) {
      socket.resume()
      const got = await closed
      t.true(got.startsWith('HTTP/1.1 200') && got.length < 32 * 1024 * 1024)
    }
  })
})

test.serial('http client that asks for many small answers and reads none of them is cut off', async (t) => {
  const rig = await ProcessorRig.open(tempDir(t), { http: withStall(500) })
  try {
    await serve(rig, `export const handler = () => Buffer.alloc(60_000, 120)`)
    const client = openRaw(rig.http.address!.port)
    client.socket.pause()
    // What the kernel takes for a client is a few MiB; this is more.
    for (let i = 0; i < 500; i++) client.socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\n\r\n')
    await new Promise((resolve) => client.socket.on('connect', resolve))
    while (rig.http.connections === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    while (rig.http.connections > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    client.socket.destroy()
    t.pass()
  } finally {
    await rig.close()
  }
})

test.serial('http client that sends requests without end and waits for no answer gets a hundred of them handled', async (t) => {
  const gate = `let go, count = 0
  const opened = new Promise((resolve) => { go = resolve })
  export const handler = async (context, event) => { if (event.path === '/f/go') { go(); return String(count) } count++; await opened; return 'ok' }`
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await serve(rig, gate, '{ kind: http, concurrency: 1000 }')
    const port = rig.http.address!.port
    const client = openRaw(port)
    client.socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\n\r\n'.repeat(500))
    await rig.until(() => rig.processor.status()[0]!.workers.inFlight === 100)
    t.is((await ask(port, '/f/go')).body, '100')
    const said = await client.closed
    t.is(said.split('HTTP/1.1 200').length - 1, 100)
    t.is(said.split('HTTP/1.1 503').length - 1, 1)
  } finally {
    await rig.close()
  }
})

test.serial('http connections beyond the limit of one address are told 503, and their places are free again', async (t) => {
  await withLimits(t, { connectionsPerAddressMax: 3 }, async (_, port) => {
    const held = Array.from({ length: 3 }, () => openRaw(port))
    await Promise.all(held.map((client) => new Promise((resolve) => client.socket.on('connect', resolve))))
    const refused = await sendRaw(port, 'GET /f HTTP/1.1\r\nhost: localhost\r\n\r\n')
    t.regex(refused, /^HTTP\/1\.1 503[\s\S]*retry-after/)
    for (const client of held) client.socket.destroy()
    let status = 503
    while (status === 503) status = (await ask(port, '/f').catch(() => ({ status: 503 }))).status
    t.is(status, 200)
  })
})

test.serial('http content made to break parsers breaks nothing', async (t) => {
  await withLimits(t, {}, async (_, port) => {
    const json = (body: string, type = 'application/json') => ask(port, '/f', { body, headers: { 'content-type': type } })
    const poisoned = await ask(port, '/f?__proto__=1&__proto__[polluted]=1&constructor.prototype.polluted=1', {
      body: '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}',
      headers: ['host', 'localhost', '__proto__', 'polluted', 'constructor', 'x', 'content-type', 'application/json'],
    })
    t.is(poisoned.status, 200)
    t.true((JSON.parse(poisoned.body) as { own: boolean }).own)
    t.is(({} as { polluted?: unknown }).polluted, undefined)
    const deep = '['.repeat(100_000) + ']'.repeat(100_000)
    t.is((await json(deep)).status, 200)
    t.is((await json(deep, 'application/cloudevents+json')).status, 400)
    const nested = await json(`{"specversion":"1.0","id":"1","source":"/a","type":"b","data":${deep}}`, 'application/cloudevents+json')
    t.is(nested.status, 200)
    t.is((await json(`[${'{}'.padEnd(2_000_000, ',{}')}]`, 'application/cloudevents-batch+json')).status, 413)
    t.is((await json(JSON.stringify({ a: 'x'.repeat(10 * 1024 * 1024) }))).status, 413)
    // Keys whose hashes might collide: as many as a body holds.
    t.is((await json(JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_v, i) => [`k${i}`, 0]))))).status, 200)
    t.is((await ask(port, `/f?${Array.from({ length: 2_000 }, (_v, i) => `k${i}=`).join('&')}`)).status, 200)
    t.is((await ask(port, '/f')).status, 200)
  })
})

import test, { type ExecutionContext } from 'ava'
import { once } from 'node:events'
import { createHash, randomBytes } from 'node:crypto'
import { request } from 'node:https'
import { connect } from 'node:tls'
import { readFileSync, readdirSync } from 'node:fs'
import { call, enrol, initialiseTrust, removeFolder, startHub, type TestHub } from '../support/hub.ts'
import type { Auth } from '../../hub/api/route.ts'

async function freshHub(t: ExecutionContext, overrides = {}): Promise<TestHub> {
  const hub = await startHub({ overrides })
  t.teardown(() => removeFolder(hub.dataDir))
  t.teardown(() => hub.stop())
  await initialiseTrust(hub)
  return hub
}

/** Statuses that say "you may not"; anything else means that the caller was let in. */
const LET_IN: Record<Auth, Record<'nobody' | 'wrong token' | 'device' | 'decommissioned' | 'operator', boolean>> = {
  operator: { nobody: false, 'wrong token': false, device: false, decommissioned: false, operator: true },
  device: { nobody: false, 'wrong token': false, device: true, decommissioned: false, operator: false },
  enrol: { nobody: true, 'wrong token': true, device: true, decommissioned: true, operator: true },
  none: { nobody: true, 'wrong token': true, device: true, decommissioned: true, operator: true },
}

test('each route lets in whom its table entry names and nobody else', async (t) => {
  const hub = await freshHub(t)
  const device = await enrol(hub, 'edge-1')
  const gone = await enrol(hub, 'edge-2')
  await call(hub, 'DELETE', '/v1/devices/edge-2')
  const callers = { nobody: 'nobody', 'wrong token': 'wrong', device, decommissioned: gone, operator: hub.token } as const
  t.true(hub.hub!.routes.length > 20)
  for (const { method, path, auth, body } of hub.hub!.routes) {
    for (const [name, as] of Object.entries(callers)) {
      // Ids that do not exist, and bodies that are wrong: whoever is let in changes nothing.
      const target = path.replace(/:[a-z0-9]+/g, 'x')
      const { status } = await call(hub, method, target, { as, ...(body ? { body: {} } : {}) })
      t.is(status !== 401 && status !== 403, LET_IN[auth][name as keyof typeof callers], `${method} ${target} as ${name}: ${status}`)
    }
  }
})

test('each route is in docs/hub-api.md with its method, path and who may call it', async (t) => {
  const hub = await freshHub(t)
  const page = readFileSync(new URL('../../docs/hub-api.md', import.meta.url), 'utf8')
  for (const { method, path, auth } of hub.hub!.routes) t.true(page.includes(`| ${method} | \`${path}\` | ${auth} |`), `${method} ${path}`)
})

test('unknown path is answered 404 and a known one with another method 405, as JSON', async (t) => {
  const hub = await freshHub(t)
  t.is((await call(hub, 'GET', '/nothing', { as: 'nobody' })).json.error.code, 'route-unknown')
  const { status, json } = await call(hub, 'DELETE', '/v1/status')
  t.is(status, 405)
  t.is(json.error.code, 'method-not-allowed')
  t.like((await call(hub, 'GET', '/', { as: 'nobody' })).json, { dunlin: 'hub' })
})

test('body that is too large is refused before it is sent', async (t) => {
  const hub = await freshHub(t)
  const sent = request({ port: hub.api.port, host: '127.0.0.1', ca: hub.ca, agent: false, method: 'POST', path: '/v1/claim-tokens' })
  sent.setHeader('Authorization', `Bearer ${hub.token}`)
  sent.setHeader('Content-Type', 'application/json')
  sent.setHeader('Content-Length', 100 * 1024 * 1024)
  sent.flushHeaders()
  const [response] = await once(sent, 'response')
  t.is(response.statusCode, 413)
  sent.on('error', () => {})
  sent.destroy()
})

test('endless chunked body is cut at the limit', async (t) => {
  const hub = await freshHub(t)
  const sent = request({ port: hub.api.port, host: '127.0.0.1', ca: hub.ca, agent: false, method: 'POST', path: '/v1/claim-tokens' })
  sent.setHeader('Authorization', `Bearer ${hub.token}`)
  sent.setHeader('Content-Type', 'application/json')
  sent.on('error', () => {})
  const answered = once(sent, 'response')
  const chunk = Buffer.alloc(256 * 1024, ' ')
  for (let i = 0; i < 8; i++) sent.write(chunk)
  const [response] = await answered
  t.is(response.statusCode, 413)
  sent.destroy()
})

test('JSON that is broken, too deep or of another shape is answered 400 with the reason', async (t) => {
  const hub = await freshHub(t)
  const post = (body: string) => call(hub, 'POST', '/v1/claim-tokens', { body, headers: { 'Content-Type': 'application/json' } })
  t.is((await post('{"uses":')).json.error.code, 'json-invalid')
  t.is((await post('['.repeat(100_000))).json.error.code, 'json-too-deep')
  const { status, json } = await post('{"uses":0,"more":1,"__proto__":{"x":1}}')
  t.is(status, 400)
  t.regex(json.error.message, /uses/)
  t.is((await call(hub, 'POST', '/v1/claim-tokens', { body: '{}' })).status, 415)
})

test('request with two Host headers is answered 421', async (t) => {
  const hub = await freshHub(t)
  const socket = connect({ host: '127.0.0.1', port: hub.api.port, ca: hub.ca })
  await once(socket, 'secureConnect')
  socket.write(`GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n`)
  let text = ''
  for await (const chunk of socket) text += chunk
  t.regex(text, /^HTTP\/1\.1 421 /)
})

test('blob is stored under its digest only, and read whole and in parts', async (t) => {
  const hub = await freshHub(t)
  const device = await enrol(hub, 'edge-1')
  const content = randomBytes(200_000)
  const digest = createHash('sha256').update(content).digest('hex')
  const path = `/v1/blobs/${digest}`
  t.is((await call(hub, 'HEAD', path)).status, 404)
  t.is((await call(hub, 'PUT', `/v1/blobs/${'0'.repeat(64)}`, { body: content })).json.error.code, 'digest-mismatch')
  t.is((await call(hub, 'GET', `/v1/blobs/${'0'.repeat(64)}`)).status, 404)
  t.like(await call(hub, 'PUT', path, { body: content }), { status: 200, json: { sha256: digest, size: 200_000 } })
  t.is((await call(hub, 'HEAD', path)).headers['content-length'], '200000')
  const whole = await call(hub, 'GET', `/device${path}`, { as: device })
  t.deepEqual(whole.bytes, content)
  t.is(whole.headers.etag, `"${digest}"`)
  const part = await call(hub, 'GET', `/device${path}`, { as: device, headers: { Range: 'bytes=150000-' } })
  t.is(part.status, 206)
  t.is(part.headers['content-range'], 'bytes 150000-199999/200000')
  t.deepEqual(part.bytes, content.subarray(150_000))
  t.deepEqual((await call(hub, 'GET', path, { headers: { Range: 'bytes=-5' } })).bytes, content.subarray(-5))
  const other = await call(hub, 'GET', path, { headers: { Range: 'bytes=5-9', 'If-Range': '"another"' } })
  t.is(other.status, 200)
  const beyond = await call(hub, 'GET', path, { headers: { Range: 'bytes=200000-' } })
  t.is(beyond.status, 416)
  t.is(beyond.headers['content-range'], 'bytes */200000')
})

test('blob name or file name that climbs out of its folder is not found', async (t) => {
  const hub = await freshHub(t)
  for (const name of ['..%2fadmin-token', '..%2f..%2fadmin-token', '%2e%2e%2fhub.db', 'A'.repeat(64), '%00', 'timestamp.json%00']) {
    t.true([400, 404].includes((await call(hub, 'GET', `/v1/blobs/${name}`)).status), name)
    t.true([400, 404].includes((await call(hub, 'PUT', `/v1/blobs/${name}`, { body: 'x' })).status), name)
    t.true([400, 404].includes((await call(hub, 'GET', `/v1/tuf/${name}`)).status), name)
  }
})

test('blob that comes in chunks and passes the limit is refused and leaves nothing behind', async (t) => {
  const hub = await freshHub(t, { limits: { blobBytesMax: '1MiB' } })
  const sent = request({
    port: hub.api.port,
    host: '127.0.0.1',
    ca: hub.ca,
    agent: false,
    method: 'PUT',
    path: `/v1/blobs/${'0'.repeat(64)}`,
  })
  sent.setHeader('Authorization', `Bearer ${hub.token}`)
  sent.on('error', () => {})
  const answered = once(sent, 'response')
  for (let i = 0; i < 24; i++) sent.write(Buffer.alloc(256 * 1024))
  const [response] = await answered
  t.is(response.statusCode, 413)
  sent.destroy()
  t.deepEqual(readdirSync(`${hub.dataDir}/blobs/00`), [])
})

test('devices page by page are each device once', async (t) => {
  const hub = await freshHub(t)
  for (const name of ['edge-3', 'edge-1', 'edge-2']) await enrol(hub, name)
  const first = (await call(hub, 'GET', '/v1/devices?limit=2')).json
  t.deepEqual(
    first.devices.map(({ id }: { id: string }) => id),
    ['edge-1', 'edge-2'],
  )
  const second = (await call(hub, 'GET', `/v1/devices?limit=2&after=${first.next}`)).json
  t.like(second, { devices: [{ id: 'edge-3' }], next: null })
})

test('blob over the limit is refused and leaves nothing behind', async (t) => {
  const hub = await freshHub(t, { limits: { blobBytesMax: '1MiB' } })
  const content = Buffer.alloc(1024 * 1024 + 1)
  const digest = createHash('sha256').update(content).digest('hex')
  t.is((await call(hub, 'PUT', `/v1/blobs/${digest}`, { body: content })).status, 413)
  t.is((await call(hub, 'HEAD', `/v1/blobs/${digest}`)).status, 404)
})

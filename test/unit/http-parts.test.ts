import test from 'ava'
import { decideCors, type CorsRequest } from '../../adapters/triggers/http-cors.ts'
import { hostCheck } from '../../adapters/triggers/http-hosts.ts'
import { logsHeader } from '../../adapters/triggers/http-logs.ts'
import { isFault, readTarget } from '../../adapters/triggers/http-request.ts'
import { RouteTable } from '../../adapters/triggers/http-routes.ts'
import type { CorsConfig } from '../../config/function-config.ts'

test('route that is longest wins, and a written segment wins over a parameter', (t) => {
  const table = new RouteTable<string>()
  for (const path of ['/', '/devices', '/devices/:id', '/devices/all', '/devices/:id/state', '/devices/all/x/y'])
    t.true(table.add(path, path))
  const target = (path: string) => table.find(path)?.target
  t.is(target('/'), '/')
  t.is(target('/other'), '/')
  t.is(target('/devices'), '/devices')
  t.is(target('/devices/'), '/devices')
  t.is(target('/devicesx'), '/')
  t.is(target('/devices/7'), '/devices/:id')
  t.is(target('/devices/all'), '/devices/all')
  t.is(target('/devices/all/state'), '/devices/:id/state')
  t.is(target('/devices/7/state/deep'), '/devices/:id/state')
  t.is(target('/devices//state'), '/devices')
  t.deepEqual(table.find('/devices/a%2Fb/state')?.parameters, [['id', 'a%2Fb']])
})

test('route is taken once whatever its parameter is called, and free again after it was removed', (t) => {
  const table = new RouteTable<string>()
  t.true(table.add('/a/:x/b', 'one'))
  t.false(table.add('/a/:y/b', 'two'))
  table.remove('/a/:x/b', 'two')
  t.is(table.find('/a/1/b')?.target, 'one')
  table.remove('/a/:x/b', 'one')
  t.is(table.find('/a/1/b'), undefined)
  t.deepEqual(table.paths(), [])
  t.true(table.add('/a/:y/b', 'two'))
})

test('request target is decoded once, and what no client sends is refused', (t) => {
  t.like(readTarget('/a%20b?x=1'), { path: '/a b', rawPath: '/a%20b', query: 'x=1' })
  t.like(readTarget('http://host:80/a?b'), { path: '/a', query: 'b' })
  t.like(readTarget('http://host'), { path: '/' })
  for (const url of ['/a%', '/%ff', '/a%00b', '/a/../b', '/a/%2e%2e/b', '/.', 'a', '*']) t.true(isFault(readTarget(url)), url)
  t.like(readTarget('/a..b/.well-known/c.'), { path: '/a..b/.well-known/c.' })
})

test('host is checked on loopback by default, elsewhere when names are given', (t) => {
  const loopback = hostCheck(null, '127.0.0.1')
  for (const host of ['localhost', 'LOCALHOST:80', '127.0.0.1:8080', '[::1]:80', 'a.localhost', 'localhost.']) t.true(loopback(host), host)
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '192.168.1.2', '']) t.false(loopback(host), host)
  t.true(hostCheck(null, '0.0.0.0')('evil.example'))
  const named = hostCheck(['device.example', '*.lan'], '0.0.0.0')
  t.true(named('Device.example:443'))
  t.true(named('a.lan'))
  t.true(named('127.0.0.1'))
  t.false(named('lan'))
  t.false(named('xlan'))
  t.true(hostCheck(['*'], '127.0.0.1')('evil.example'))
})

const cors: CorsConfig = {
  allowOrigins: ['https://shop.example'],
  allowMethods: ['GET', 'POST'],
  allowHeaders: ['X-A'],
  exposeHeaders: ['x-b'],
  allowCredentials: true,
  allowPrivateNetwork: false,
  preflightMaxAgeSeconds: 5,
}
const asked: CorsRequest = {
  method: 'GET',
  origin: undefined,
  wantedMethod: undefined,
  wantedHeaders: undefined,
  wantsPrivateNetwork: false,
}
const preflight = { ...asked, method: 'OPTIONS', wantedMethod: 'POST', origin: 'https://shop.example' }
const headersOf = (headers: readonly string[]) =>
  Object.fromEntries(Array.from({ length: headers.length / 2 }, (_, i) => [headers[2 * i], headers[2 * i + 1]]))

test('CORS tells an allowed origin what it may, and every cache that answers differ by origin', (t) => {
  t.deepEqual(decideCors(cors, asked), { preflightStatus: null, headers: ['vary', 'Origin'] })
  t.deepEqual(decideCors(cors, { ...asked, origin: 'https://evil.example' }), { preflightStatus: null, headers: ['vary', 'Origin'] })
  t.deepEqual(headersOf(decideCors(cors, { ...asked, origin: 'https://Shop.example' }).headers), {
    vary: 'Origin',
    'access-control-allow-origin': 'https://Shop.example',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'x-b',
  })
  t.deepEqual(
    decideCors({ ...cors, allowOrigins: ['*'], allowCredentials: false, exposeHeaders: [] }, { ...asked, origin: 'https://a' }).headers,
    ['access-control-allow-origin', '*'],
  )
})

test("CORS preflight is answered, a plain OPTIONS is the function's", (t) => {
  const decision = decideCors(cors, preflight)
  t.is(decision.preflightStatus, 204)
  t.like(headersOf(decision.headers), {
    'access-control-allow-methods': 'GET, POST',
    'access-control-allow-headers': 'X-A',
    'access-control-max-age': '5',
  })
  t.is(decideCors(cors, { ...preflight, origin: 'https://evil.example' }).preflightStatus, 403)
  t.is(decideCors(cors, { ...asked, method: 'OPTIONS' }).preflightStatus, null)
  const near = decideCors({ ...cors, allowPrivateNetwork: true }, { ...preflight, wantsPrivateNetwork: true })
  t.is(headersOf(near.headers)['access-control-allow-private-network'], 'true')
})

test('logs that do not fit the header are cut, and the last line says so', (t) => {
  const line = (message: string, fields = '') => ({ level: 20, message, fields, timeMs: 1 })
  t.deepEqual(JSON.parse(logsHeader([line('ü', '{"a":1}')])), [{ level: 'info', time: 1, message: 'ü', with: { a: 1 } }])
  t.regex(logsHeader([line('ü\n')]), /^[\x20-\x7e]*$/)
  const many = logsHeader(Array.from({ length: 100 }, () => line('x'.repeat(100))))
  t.true(many.length <= 4096)
  t.regex((JSON.parse(many) as { message: string }[]).at(-1)!.message, /^\d+ more lines/)
  t.true(logsHeader([line('y'.repeat(9_000))]).length < 200)
})

import test from 'ava'
import { request } from 'node:http'
import type { ProcessorRig } from '../support/processor-rig.ts'
import { withRig } from '../support/with-rig.ts'

interface Response {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly body: string
}

const spec = (trigger: string, more = '') => `
metadata: { name: f }
spec:
  runtime: nodejs
  handler: main:handler
${more}
  triggers:
    t: ${trigger}`

function ask(
  rig: ProcessorRig,
  path: string,
  options: { method?: string; body?: string | Buffer; headers?: Record<string, string> | string[] } = {},
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port: rig.http.address!.port,
        path,
        method: options.method ?? 'POST',
        headers: options.headers ?? {},
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }),
        )
      },
    )
    sent.on('error', reject)
    sent.end(options.body)
  })
}

test.serial('http handler gets method, path, query, headers and body, and its answer is the response', withRig, async (t, rig) => {
  const source = `export const handler = (context, event) => new context.Response({ statusCode: 201, headers: { 'x-seen': event.headers['X-Given'] }, body: { method: event.method, path: event.path, field: event.fields.q, body: event.body } })`
  await rig.processor.activate(rig.version(spec('{ kind: http }'), { 'main.mjs': source }))
  const answer = await ask(rig, '/f/below?q=a%20b', { body: '{"n":1}', headers: { 'content-type': 'application/json', 'X-Given': 'yes' } })
  t.is(answer.status, 201)
  t.is(answer.headers['x-seen'], 'yes')
  t.deepEqual(JSON.parse(answer.body), { method: 'POST', path: '/f/below', field: 'a b', body: { n: 1 } })
})

test.serial('http answers what went wrong with the status that says so', withRig, async (t, rig) => {
  const source = `export const handler = async (context, event) => {
    if (event.path === '/f/throw') throw new Error('no good')
    if (event.path === '/f/hang') await new Promise(() => {})
    if (event.path === '/f/header') return new context.Response({ statusCode: 200, headers: { 'x-a': 'b\\r\\nx-c: d' } })
    if (event.path === '/f/circular') { const a = {}; a.a = a; return a }
    return 'ok'
  }`
  await rig.processor.activate(
    rig.version(spec('{ kind: http, attributes: { maxRequestBodySize: 1000 } }', '  eventTimeout: 500ms'), { 'main.mjs': source }),
  )
  t.like(await ask(rig, '/f/throw'), { status: 500, body: 'Error: no good\n' })
  t.is((await ask(rig, '/f/header')).status, 500)
  t.regex((await ask(rig, '/f/circular')).body, /circular/)
  t.is((await ask(rig, '/elsewhere')).status, 404)
  t.is((await ask(rig, '/f', { body: Buffer.alloc(2000) })).status, 413)
  t.is((await ask(rig, '/f', { body: Buffer.alloc(2000), headers: { 'transfer-encoding': 'chunked' } })).status, 413)
  t.is((await ask(rig, '/f', { headers: ['Host', 'a', 'Host', 'b'] })).status, 400)
  t.is((await ask(rig, '/f/hang')).status, 408)
  await rig.until(() => rig.processor.status()[0]!.ready)
  t.is((await ask(rig, '/f')).body, 'ok')
})

test.serial('http trigger with durable delivery answers 202 when the event is committed', withRig, async (t, rig) => {
  await rig.processor.activate(
    rig.version(spec('{ kind: http, delivery: durable }'), {
      'main.mjs': `export const handler = (context, event) => context.emit('out', event.id)`,
    }),
  )
  const answer = await ask(rig, '/f', { body: 'x' })
  t.is(answer.status, 202)
  await rig.until(async () => (await rig.rows('out')).length === 1)
  t.deepEqual(await rig.rows('out'), [(JSON.parse(answer.body) as { id: string }).id])
})

test.serial('http request that finds no free worker in time is answered 503', withRig, async (t, rig) => {
  const trigger = '{ kind: http, concurrency: 1, workerAvailabilityTimeoutMilliseconds: 100 }'
  await rig.processor.activate(
    rig.version(spec(trigger), {
      'main.mjs': `export const handler = (context, event) => event.path === '/f/slow' ? new Promise((resolve) => setTimeout(resolve, 400, 'late')) : 'ok'`,
    }),
  )
  const slow = ask(rig, '/f/slow')
  await rig.until(() => rig.processor.status()[0]!.workers.inFlight === 1)
  t.is((await ask(rig, '/f')).status, 503)
  t.is((await slow).body, 'late')
})

test.serial('http trigger with CORS answers a preflight of an allowed origin only', withRig, async (t, rig) => {
  const trigger = `{ kind: http, attributes: { cors: { enabled: true, allowOrigins: ['https://shop.example'] } } }`
  await rig.processor.activate(rig.version(spec(trigger), { 'main.mjs': `export const handler = () => 'ok'` }))
  const preflight = (origin: string) => ask(rig, '/f', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
  const allowed = await preflight('https://shop.example')
  t.is(allowed.status, 204)
  t.is(allowed.headers['access-control-allow-origin'], 'https://shop.example')
  t.is((await preflight('https://evil.example')).status, 403)
})

test.serial('cron trigger gives its body and headers again and again, and remembers when', withRig, async (t, rig) => {
  const trigger = `{ kind: cron, attributes: { interval: 100ms, event: { body: tick, headers: { a: b } } } }`
  await rig.processor.activate(
    rig.version(spec(trigger), {
      'main.mjs': `export const handler = (context, event) => context.emit('out', event.body + event.headers.a)`,
    }),
  )
  await rig.until(async () => (await rig.rows('out')).length >= 3)
  t.is((await rig.rows('out'))[2], 'tickb')
  t.truthy(await rig.store.getValue('cron/f/t'))
})

test.serial('mqtt trigger with overlapping filters gives a message once', withRig, async (t, rig) => {
  const trigger = `{ kind: mqtt, attributes: { subscriptions: [{ topic: 'a/#', qos: 1 }, { topic: 'a/+', qos: 1 }, { topic: 'a/b', qos: 1 }] } }`
  await rig.processor.activate(
    rig.version(spec(trigger), { 'main.mjs': `export const handler = (context, event) => context.emit('out', event.topic)` }),
  )
  await rig.publish('a/b', 'x')
  await rig.publish('a', 'x')
  await rig.publish('other', 'x')
  await rig.until(async () => (await rig.rows('out')).length === 2)
  t.deepEqual(await rig.rows('out'), ['a/b', 'a'])
})

test.serial('function that is stopped takes no messages, and its path is free', withRig, async (t, rig) => {
  await rig.processor.activate(rig.version(spec('{ kind: http }'), { 'main.mjs': `export const handler = () => 'ok'` }))
  await rig.processor.deactivate('f', 100)
  t.is((await ask(rig, '/f')).status, 404)
  await rig.processor.activate(rig.version(spec('{ kind: http }'), { 'main.mjs': `export const handler = () => 'again'` }))
  t.is((await ask(rig, '/f')).body, 'again')
})

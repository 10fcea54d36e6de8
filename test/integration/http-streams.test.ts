import test from 'ava'
import { connect } from 'node:net'
import { ask, serve, withRig } from '../support/http-rig.ts'
import { openRaw } from '../support/raw-http.ts'

test.serial('http answer in parts arrives as each part is made, in chunks', withRig, async (t, rig) => {
  await serve(
    rig,
    `let go
  export async function* parts() { yield 'first '; await new Promise((resolve) => { go = resolve }); yield 'second' }
  export const handler = (context, event) => { if (event.path === '/f/go') { go(); return 'went' } return new context.Response({ statusCode: 201, contentType: 'text/plain', headers: { 'x-a': 'b', 'content-length': '3' }, body: parts() }) }`,
  )
  const port = rig.http.address!.port
  const client = openRaw(port)
  client.socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  const before = await client.until('first ')
  t.regex(before, /^HTTP\/1\.1 201/)
  t.regex(before, /transfer-encoding: chunked/i)
  t.notRegex(before, /content-length/i)
  t.regex(before, /x-a: b/)
  await ask(port, '/f/go')
  t.true((await client.closed).endsWith('second\r\n0\r\n\r\n'))
})

test.serial('http answer in parts that fails in the middle is cut off, and does not look complete', withRig, async (t, rig) => {
  await serve(rig, `export const handler = async function* () { yield 'first'; throw new Error('no more') }`)
  const client = openRaw(rig.http.address!.port)
  client.socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  const said = await client.closed
  t.true(said.includes('first'))
  t.false(said.endsWith('0\r\n\r\n'))
})

test.serial("http client that goes away ends the handler's generator", withRig, async (t, rig) => {
  await serve(
    rig,
    `export const handler = async function* (context) { try { for (;;) { yield 'x'.repeat(65536); await new Promise((resolve) => setTimeout(resolve, 1)) } } finally { context.logger.info('closed') } }`,
  )
  const client = openRaw(rig.http.address!.port)
  client.socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\n\r\n')
  await client.until('xxx')
  client.socket.destroy()
  await rig.until(() => rig.logs.some(({ message }) => message === 'closed'))
  t.pass()
})

test.serial('http client that reads slowly holds the handler back', withRig, async (t, rig) => {
  await serve(
    rig,
    `let made = 0
  async function* parts() { for (let i = 0; i < 1024; i++) { made++; yield Buffer.alloc(65536, 120) } }
  export const handler = (context, event) => event.path === '/f/made' ? String(made) : new context.Response({ statusCode: 200, body: parts() })`,
  )
  const port = rig.http.address!.port
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.write('GET /f HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
  socket.pause()
  const made = async () => Number((await ask(port, '/f/made')).body)
  // It stands still once the kernel's buffers and the stream's credit are full.
  let before = -1
  let now = await made()
  while (now === 0) now = await made()
  for (let same = 0; same < 20; same = now === before ? same + 1 : 0) {
    before = now
    now = await made()
  }
  t.true(now < 1024, `${now} parts of 64 KiB were made for a client that reads nothing`)
  let bytes = 0
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  const closed = new Promise((resolve) => socket.on('close', resolve))
  socket.resume()
  await closed
  t.true(bytes > 1024 * 65_536)
})

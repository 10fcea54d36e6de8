import test from 'ava'
import { writeFileSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { HttpTrigger } from '../../adapters/triggers/http.ts'
import { reloadOnChange, readTlsFiles } from '../../adapters/triggers/http-tls.ts'
import { createServer as createTlsServer } from 'node:https'
import { silentLogger } from '../../runtime/base/log.ts'
import { serve, withRig } from '../support/http-rig.ts'
import type { ProcessorRig } from '../support/processor-rig.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TestCa, type TestCertificate } from '../support/test-ca.ts'

const HELLO = `export const handler = () => 'hello'`

function write(folder: string, { certificate, key }: TestCertificate): { certFile: string; keyFile: string } {
  const files = { certFile: path.join(folder, 'cert.pem'), keyFile: path.join(folder, 'key.pem') }
  writeFileSync(files.certFile, certificate)
  writeFileSync(files.keyFile, key)
  return files
}

const portOf = (rig: ProcessorRig) => (rig.triggers.get('t') as HttpTrigger).address!.port

function get(port: number, options: RequestOptions): Promise<{ status: number; serial: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', servername: 'localhost', port, agent: false, ...options }, (response) => {
      const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber
      response.resume().on('end', () => resolve({ status: response.statusCode!, serial }))
    })
    sent.on('error', reject)
    sent.end()
  })
}

test.serial(
  'http trigger on a port of its own speaks TLS, and wants a client certificate when it has an authority',
  withRig,
  async (t, rig) => {
    const folder = tempDir(t)
    const ca = await TestCa.make()
    const files = write(folder, await ca.server())
    const caFile = path.join(folder, 'ca.pem')
    writeFileSync(caFile, ca.certificate)
    const tls = (more: string) =>
      `{ kind: http, url: "127.0.0.1:0", attributes: { tls: { certFile: ${files.certFile}, keyFile: ${files.keyFile}${more} } } }`
    await serve(rig, HELLO, tls(''))
    t.is((await get(portOf(rig), { ca: ca.certificate })).status, 200)
    await t.throwsAsync(get(portOf(rig), {}))
    await serve(rig, HELLO, tls(`, caFile: ${caFile}`))
    const { certificate, key } = await ca.device('d1')
    t.is((await get(portOf(rig), { ca: ca.certificate, cert: certificate, key })).status, 200)
    await t.throwsAsync(get(portOf(rig), { ca: ca.certificate }))
  },
)

test.serial('http certificate that was renewed is taken up without a restart, and a bad one is not', async (t) => {
  const folder = tempDir(t)
  const ca = await TestCa.make()
  const config = { ...write(folder, await ca.server()), caFile: null }
  const server = createTlsServer(readTlsFiles(config, 'test'), (_, response) => response.end('hello'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let told = Promise.withResolvers<string>()
  const logger = { ...silentLogger, info: () => told.resolve('taken'), warn: () => told.resolve('refused') }
  const stop = reloadOnChange(server, config, 'test', logger, 20)
  try {
    const { serial } = await get(port, { ca: ca.certificate })
    writeFileSync(config.certFile, 'no certificate')
    t.is(await told.promise, 'refused')
    t.is((await get(port, { ca: ca.certificate })).serial, serial)
    for (const next = await ca.server(); ; told = Promise.withResolvers()) {
      told = Promise.withResolvers()
      write(folder, next)
      if ((await told.promise) === 'taken') break
    }
    t.not((await get(port, { ca: ca.certificate })).serial, serial)
  } finally {
    stop()
    server.closeAllConnections()
    server.close()
  }
})

test.serial('http trigger says which file it cannot use and which port is taken', withRig, async (t, rig) => {
  const folder = tempDir(t)
  const ca = await TestCa.make()
  const files = write(folder, await ca.server())
  const tls = (certFile: string, keyFile: string) =>
    `{ kind: http, url: "127.0.0.1:0", attributes: { tls: { certFile: ${certFile}, keyFile: ${keyFile} } } }`
  await t.throwsAsync(serve(rig, HELLO, tls(files.certFile, path.join(folder, 'none.pem'))), {
    code: 'tls-files',
    message: /Cannot read keyFile of .*attributes.*ENOENT/,
  })
  const other = path.join(folder, 'other.pem')
  writeFileSync(other, (await ca.server()).key)
  await t.throwsAsync(serve(rig, HELLO, tls(files.certFile, other)), { code: 'tls-files', message: /Cannot use certFile and keyFile/ })
  const holder = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => holder.on('listening', resolve))
  const { port } = holder.address() as AddressInfo
  await t.throwsAsync(serve(rig, HELLO, `{ kind: http, attributes: { port: ${port} } }`), {
    code: 'port-taken',
    message: new RegExp(`127.0.0.1:${port}`),
  })
  await new Promise((resolve) => holder.close(resolve))
})

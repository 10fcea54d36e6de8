import test, { type ExecutionContext } from 'ava'
import { X509Certificate, createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { EnrolResponse } from '../../config/wire.ts'
import * as v from 'valibot'
import {
  call,
  claimToken,
  enrol,
  enrolBody,
  initialiseTrust,
  removeFolder,
  startHub,
  temporaryFolder,
  type EnrolBody,
  type TestHub,
} from '../support/hub.ts'

async function freshHub(t: ExecutionContext): Promise<TestHub> {
  const hub = await startHub()
  t.teardown(() => removeFolder(hub.dataDir))
  t.teardown(() => hub.stop())
  await initialiseTrust(hub)
  return hub
}

const ask = (hub: TestHub, { token, name, publicKey, proof }: EnrolBody) =>
  call(hub, 'POST', '/device/v1/enrol', { as: 'nobody', body: { token, name, publicKey, proof } })

test('enrolment gives a certificate for the device key, signed by the authority that the token names', async (t) => {
  const hub = await freshHub(t)
  const body = enrolBody(await claimToken(hub), 'edge-1')
  const { status, json } = await ask(hub, body)
  t.is(status, 200)
  const answer = v.parse(EnrolResponse, json)
  t.deepEqual(answer.gateway, { host: '127.0.0.1', port: hub.gateway.port })
  const certificate = new X509Certificate(answer.certificate)
  const ca = new X509Certificate(answer.ca)
  t.is(certificate.subject, 'CN=edge-1')
  t.true(certificate.verify(ca.publicKey))
  t.true(certificate.publicKey.equals(createPublicKey(body.publicKey)))
  t.is(createHash('sha256').update(ca.raw).digest('hex'), body.token.split('.')[2]!)
  const lifeDays = (certificate.validToDate.getTime() - Date.now()) / 86_400_000
  t.true(lifeDays > 364 && lifeDays <= 365)
  t.true(certificate.validFromDate.getTime() < Date.now() - 86_000_000)
})

test('hub shows its authority in the TLS chain, so that a device can compare it with the token', async (t) => {
  const hub = await freshHub(t)
  const socket = connect({ host: hub.api.host, port: hub.api.port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const issuer = socket.getPeerCertificate(true).issuerCertificate
  t.is(createHash('sha256').update(issuer.raw).digest('hex'), (await claimToken(hub)).split('.')[2]!)
  socket.destroy()
})

test('enrolment with a token that is wrong, foreign, expired, revoked or spent is refused with the reason', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub)
  const [, secret, fingerprint] = token.split('.')
  const wrong = await ask(hub, enrolBody(`dnl1.${'A'.repeat(32)}.${fingerprint}`, 'edge-1'))
  t.is(wrong.status, 403)
  t.is(wrong.json.error.code, 'claim-token-unknown')
  t.truthy(wrong.json.error.hint)
  const foreign = await ask(hub, enrolBody(`dnl1.${secret}.${'0'.repeat(64)}`, 'edge-1'))
  t.is(foreign.json.error.code, 'claim-token-unknown')
  const brief = await claimToken(hub, { expiresInMs: 1 })
  t.is((await ask(hub, enrolBody(brief, 'edge-1'))).json.error.code, 'claim-token-expired')
  const { json } = await call(hub, 'POST', '/v1/claim-tokens', { body: {} })
  t.is((await call(hub, 'DELETE', `/v1/claim-tokens/${json.id}`)).status, 200)
  t.is((await ask(hub, enrolBody(json.token, 'edge-1'))).json.error.code, 'claim-token-expired')
  await enrol(hub, 'edge-1', token)
  t.is((await ask(hub, enrolBody(token, 'edge-2'))).json.error.code, 'claim-token-spent')
})

test('enrolment without possession of the key is refused, and the token keeps its use', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub)
  const body = enrolBody(token, 'edge-1')
  const other = enrolBody(token, 'edge-1')
  t.is((await ask(hub, { ...body, proof: other.proof })).json.error.code, 'proof-invalid')
  t.is((await ask(hub, { ...body, name: 'edge-2' })).json.error.code, 'proof-invalid')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  t.is(
    (await ask(hub, { ...body, publicKey: rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString() })).json.error.code,
    'key-invalid',
  )
  t.is((await ask(hub, body)).status, 200)
})

test('enrolment whose answer was lost is answered again and burns no second use', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub)
  const body = enrolBody(token, 'edge-1')
  const first = await ask(hub, body)
  const second = await ask(hub, body)
  t.is(second.status, 200)
  t.is(second.json.certificate, first.json.certificate)
  const taken = await ask(hub, enrolBody(await claimToken(hub), 'edge-1'))
  t.is(taken.status, 409)
  t.is(taken.json.error.code, 'device-name-taken')
})

test('claim token of one use has one winner among 100 that race', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => ask(hub, enrolBody(token, `edge-${i}`))))
  t.is(answers.filter(({ status }) => status === 200).length, 1)
  t.is((await call(hub, 'GET', '/v1/devices')).json.devices.length, 1)
})

test('address that failed ten times has to wait, and a good token does not help it', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub)
  const bad = enrolBody(`dnl1.${'A'.repeat(32)}.${token.split('.')[2]}`, 'edge-1')
  for (let i = 0; i < 10; i++) t.is((await ask(hub, bad)).status, 403)
  t.is((await ask(hub, enrolBody(token, 'edge-1'))).status, 429)
})

test('enrolment before the start of trust is refused and the token keeps its use', async (t) => {
  const hub = await startHub()
  t.teardown(() => removeFolder(hub.dataDir))
  t.teardown(() => hub.stop())
  const body = enrolBody(await claimToken(hub), 'edge-1')
  const early = await ask(hub, body)
  t.is(early.status, 503)
  t.is(early.json.error.code, 'trust-not-ready')
  await initialiseTrust(hub)
  t.is((await ask(hub, body)).status, 200)
})

test('decommissioned device comes back with another key only, and its old certificate stays refused', async (t) => {
  const hub = await freshHub(t)
  const token = await claimToken(hub, { uses: 10 })
  const old = await enrol(hub, 'edge-1', token)
  t.is((await call(hub, 'DELETE', '/v1/devices/edge-1')).status, 200)
  const keys = { publicKey: createPublicKey(old.key), privateKey: createPrivateKey(old.key) }
  t.is((await ask(hub, enrolBody(token, 'edge-1', keys))).json.error.code, 'device-not-accepted')
  const renewed = await enrol(hub, 'edge-1', token)
  t.is((await call(hub, 'GET', '/device/v1/tuf/timestamp.json', { as: old })).json.error.code, 'device-key-replaced')
  t.is((await call(hub, 'GET', '/device/v1/tuf/timestamp.json', { as: renewed })).status, 200)
})

test('secrets are in no log, not in the database, and their files are private', async (t) => {
  const dataDir = temporaryFolder()
  t.teardown(() => removeFolder(dataDir))
  const hub = await startHub({ dataDir })
  await initialiseTrust(hub, join(dataDir, 'publisher'))
  const token = await claimToken(hub)
  await enrol(hub, 'edge-1', token)
  await call(hub, 'GET', '/v1/devices', { as: `${hub.token}x` })
  await ask(hub, enrolBody(token, 'edge-2'))
  await hub.stop()
  const canaries = [hub.token, token.split('.')[1]!]
  for (const canary of canaries) {
    t.false(hub.log().includes(canary), 'log')
    for (const file of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue
      const path = join(file.parentPath, file.name)
      t.is(statSync(path).mode & 0o022, 0, path)
      if (/key|token|authority|server|\.db/.test(file.name)) t.is(statSync(path).mode & 0o077, 0, path)
      if (file.name !== 'admin-token') t.false(readFileSync(path).includes(canary), path)
    }
  }
})

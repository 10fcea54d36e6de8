import test from 'ava'
import { createPublicKey, verify } from 'node:crypto'
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import path from 'node:path'
import type { EnrolRequest } from '../../config/wire.ts'
import { enrol, type EnrolOptions } from '../../agent/identity/enrol.ts'
import { loadIdentity } from '../../agent/identity/identity.ts'
import type { DunlinError } from '../../runtime/base/errors.ts'
import { FakeHttps } from '../support/fake-https.ts'
import { tempDir } from '../support/temp-dir.ts'
import { TestCa } from '../support/test-ca.ts'

const SECRET = 'abcdefghijklmnopqrstuvwxyz012345'

function acceptEnrolments(hub: FakeHttps): EnrolRequest[] {
  const seen: EnrolRequest[] = []
  hub.answers.set('/device/v1/enrol', async (_request, response, body) => {
    const asked = JSON.parse(body.toString()) as EnrolRequest
    seen.push(asked)
    const certificate = await hub.ca.certify(asked.name, asked.publicKey)
    const answer = { device: asked.name, certificate, ca: hub.ca.certificate, tufRoot: '{}', gateway: { host: '127.0.0.1', port: 8883 } }
    response.writeHead(200).end(JSON.stringify(answer))
  })
  return seen
}

function optionsFor(hub: FakeHttps, dir: string, more: Partial<EnrolOptions> = {}): EnrolOptions {
  return { hubUrl: hub.url, claimToken: `dnl1.${SECRET}.${hub.ca.fingerprint}`, name: 'board-1', dir, ...more }
}

test('enrol with the token of the hub leaves a whole identity, its key private', async (t) => {
  const hub = await FakeHttps.open(t)
  const seen = acceptEnrolments(hub)
  const dir = path.join(tempDir(t), 'data', 'identity')
  const identity = await enrol(optionsFor(hub, dir))
  t.is(identity.device, 'board-1')
  t.deepEqual(await loadIdentity(dir), identity)
  t.is(statSync(path.join(dir, 'device.key')).mode & 0o777, 0o600)
  t.is(statSync(dir).mode & 0o777, 0o700)
  t.deepEqual(readdirSync(dir).sort(), ['ca.crt', 'device.crt', 'device.key', 'enrolment.json', 'root.json'])
  const { token, name, publicKey, proof } = seen[0]!
  const signed = Buffer.from(`dunlin-enrol\n${token}\n${name}\n${publicKey}`)
  t.true(verify('sha256', signed, createPublicKey(publicKey), Buffer.from(proof, 'base64')))
})

test('enrol again after a crash before the end uses the same key and token', async (t) => {
  const hub = await FakeHttps.open(t)
  const seen = acceptEnrolments(hub)
  const dir = path.join(tempDir(t), 'identity')
  await enrol(optionsFor(hub, dir))
  rmSync(path.join(dir, 'enrolment.json'))
  t.is(await loadIdentity(dir), undefined)
  await enrol(optionsFor(hub, dir))
  t.is(seen[1]!.publicKey, seen[0]!.publicKey)
  t.is(seen[1]!.token, seen[0]!.token)
})

test('enrol at a hub with another CA sends nothing', async (t) => {
  const hub = await FakeHttps.open(t)
  const other = await TestCa.make()
  const dir = tempDir(t)
  const error = await t.throwsAsync<DunlinError>(enrol(optionsFor(hub, dir, { claimToken: `dnl1.${SECRET}.${other.fingerprint}` })))
  t.is(error.code, 'hub-not-trusted')
  t.false(error.retryable)
  t.deepEqual(hub.requests, [])
})

test('enrol at a stranger that shows the true CA beside a certificate of its own sends nothing', async (t) => {
  const trueCa = await TestCa.make()
  const stranger = await FakeHttps.open(t, { ca: await TestCa.make(), showCa: trueCa })
  const error = await t.throwsAsync<DunlinError>(
    enrol(optionsFor(stranger, tempDir(t), { claimToken: `dnl1.${SECRET}.${trueCa.fingerprint}` })),
  )
  t.is(error.code, 'hub-not-trusted')
  t.deepEqual(stranger.requests, [])
})

test('enrol refused by the hub carries its code and hint', async (t) => {
  const hub = await FakeHttps.open(t)
  hub.json(
    '/device/v1/enrol',
    { error: { code: 'claim-token-expired', message: 'The claim token has expired', hint: 'make a new one' } },
    403,
  )
  const error = await t.throwsAsync<DunlinError>(enrol(optionsFor(hub, tempDir(t))))
  t.is(error.code, 'claim-token-expired')
  t.is(error.hint, 'make a new one')
  t.false(error.retryable)
})

test('enrol with the hub away fails as retryable and keeps the key', async (t) => {
  const hub = await FakeHttps.open(t)
  await hub.stop()
  const dir = tempDir(t)
  const error = await t.throwsAsync<DunlinError>(enrol(optionsFor(hub, dir)))
  t.is(error.code, 'hub-unreachable')
  t.true(error.retryable)
  const key = readFileSync(path.join(dir, 'device.key'), 'utf8')
  await hub.start()
  acceptEnrolments(hub)
  t.is((await enrol(optionsFor(hub, dir))).key, key)
})

test('enrol given a certificate of another key refuses it', async (t) => {
  const hub = await FakeHttps.open(t)
  const { certificate } = await hub.ca.device('board-1')
  hub.json('/device/v1/enrol', { device: 'board-1', certificate, ca: hub.ca.certificate, tufRoot: '{}', gateway: { host: 'h', port: 1 } })
  const dir = tempDir(t)
  const error = await t.throwsAsync<DunlinError>(enrol(optionsFor(hub, dir)))
  t.is(error.code, 'certificate-invalid')
  t.is(await loadIdentity(dir), undefined)
})

/**
 * Enrolment: claim token + a key made on the device -> certificate of the hub's CA. A crash in the middle costs nothing: the
 * same call again uses the same key and the same token, and the hub answers it as the same enrolment.
 */
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto'
import path from 'node:path'
import * as v from 'valibot'
import { DEVICE_ID_PATTERN, EnrolResponse, type EnrolRequest } from '../../config/wire.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { writeFileDurably } from '../../runtime/base/durable-write.ts'
import { InputError, ProtocolError, TrustError } from '../../runtime/base/errors.ts'
import { HubHttps } from '../link/hub-https.ts'
import { enrolProof, openDeviceKey, publicKeyOf } from './device-key.ts'
import { fetchHubCa, fingerprintOf } from './hub-trust.ts'
import { CA_FILE, CERTIFICATE_FILE, type Enrolment, ENROLMENT_FILE, type Identity, loadIdentity, TUF_ROOT_FILE } from './identity.ts'

export interface EnrolOptions {
  /** https://host:port of the hub's API. */
  readonly hubUrl: string
  readonly claimToken: string
  /** The device id that is asked for. */
  readonly name: string
  /** Where the identity lives: identityDirectory(dataDir). */
  readonly dir: string
  readonly facts?: EnrolRequest['facts']
  readonly signal?: AbortSignal
}

/**
 * Throws InputError 'claim-token-invalid', 'hub-url-invalid' or 'device-name-invalid', TrustError 'hub-not-trusted', ResourceError
 * 'hub-unreachable' (retryable), HubError with the hub's own code and hint.
 */
export async function enrol(options: EnrolOptions): Promise<Identity> {
  const { hubUrl, claimToken, name, dir, signal } = options
  checkInput(hubUrl, name)
  const fingerprint = fingerprintOf(claimToken)
  const key = await openDeviceKey(dir)
  const ca = await fetchHubCa(hubUrl, fingerprint, signal)
  const answer = await ask(options, key, ca)
  crashPoint('identity:after-answer')
  checkAnswer(answer, key, ca, name)
  const enrolment: Enrolment = { device: answer.device, hubUrl, gateway: answer.gateway }
  await writeFileDurably(path.join(dir, CA_FILE), ca)
  await writeFileDurably(path.join(dir, CERTIFICATE_FILE), answer.certificate)
  await writeFileDurably(path.join(dir, TUF_ROOT_FILE), answer.tufRoot)
  crashPoint('identity:before-enrolment')
  await writeFileDurably(path.join(dir, ENROLMENT_FILE), `${JSON.stringify(enrolment, null, 2)}\n`)
  return (await loadIdentity(dir))!
}

function checkInput(hubUrl: string, name: string): void {
  const url = URL.parse(hubUrl)
  if (url?.protocol !== 'https:') {
    throw new InputError('hub-url-invalid', `Cannot use the hub's address "${hubUrl}": expected https://host:port`)
  }
  if (!DEVICE_ID_PATTERN.test(name)) {
    throw new InputError('device-name-invalid', `Cannot use the device name "${name}": expected 1 to 63 of a-z, 0-9 and -`)
  }
}

async function ask({ hubUrl, claimToken, name, facts = {}, signal }: EnrolOptions, key: KeyObject, ca: string): Promise<EnrolResponse> {
  const publicKey = publicKeyOf(key)
  const request: EnrolRequest = { token: claimToken, name, publicKey, proof: enrolProof(key, claimToken, name, publicKey), facts }
  const https = new HubHttps({ url: hubUrl, ca })
  try {
    const answer = v.safeParse(EnrolResponse, await https.json('/device/v1/enrol', { method: 'POST', json: request, signal }))
    if (!answer.success) throw new ProtocolError('hub-answer-invalid', `Cannot read the hub's answer to enrol: ${answer.issues[0].message}`)
    return answer.output
  } finally {
    https.close()
  }
}

/** The certificate must be of our key and name and signed by the CA that the token named; the CA in the answer adds nothing to trust. */
function checkAnswer(answer: EnrolResponse, key: KeyObject, ca: string, name: string): void {
  const certificate = new X509Certificate(answer.certificate)
  const isOurs = certificate.checkPrivateKey(key) && certificate.verify(createPublicKey(ca))
  const hasName = answer.device === name && certificate.subject.split('\n').includes(`CN=${name}`)
  if (!isOurs || !hasName) {
    throw new TrustError('certificate-invalid', `Cannot use the certificate from the hub: it is not of this device's key, name and CA`)
  }
}

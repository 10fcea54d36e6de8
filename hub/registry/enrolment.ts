/**
 * A claim token and a proof of possession become a device with a certificate.
 *
 * One use of the token and the device are one transaction, so a raced token has exactly one winner. A lost answer burns nothing:
 * the same key with the same token is answered again. A decommissioned device comes back only with another key.
 */
import { createPublicKey, verify } from 'node:crypto'
import type { EnrolRequest } from '../../config/wire.ts'
import { InputError, ResourceError, TrustError } from '../../runtime/base/errors.ts'
import type { CertificateAuthority, Issued } from '../certificates/certificate-authority.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import type { Audit } from './audit.ts'
import { checkUsable, type ClaimTokens } from './claim-tokens.ts'
import { digestOf, spkiOf, type Device, type Devices } from './devices.ts'
import type { Releases } from './releases.ts'

export interface EnrolmentOptions {
  readonly certificateLifetimeMs: number
  readonly devicesMax: number
}

export interface Enrolled {
  readonly device: string
  readonly certificate: string
}

export class Enrolment {
  readonly #database: HubDatabase
  readonly #audit: Audit
  readonly #tokens: ClaimTokens
  readonly #devices: Devices
  readonly #authority: CertificateAuthority
  readonly #releases: Pick<Releases, 'assignDefaults'>
  readonly #options: EnrolmentOptions

  constructor(
    parts: {
      database: HubDatabase
      audit: Audit
      tokens: ClaimTokens
      devices: Devices
      authority: CertificateAuthority
      releases: Pick<Releases, 'assignDefaults'>
    },
    options: EnrolmentOptions,
  ) {
    this.#database = parts.database
    this.#audit = parts.audit
    this.#tokens = parts.tokens
    this.#devices = parts.devices
    this.#authority = parts.authority
    this.#releases = parts.releases
    this.#options = options
  }

  async enrol(request: EnrolRequest): Promise<Enrolled> {
    const token = this.#tokens.find(request.token)
    const keyDigest = digestOf(spkiOf(request.publicKey))
    checkProof(request)
    const again = this.#answerAgain(request.name, keyDigest, token.id)
    if (again) return again
    checkUsable(token)
    const issued = await this.#authority.issue({
      publicKey: request.publicKey,
      commonName: request.name,
      lifetimeMs: this.#options.certificateLifetimeMs,
      use: 'clientAuth',
    })
    // The world may have changed while the certificate was signed: everything is asked again, now in one transaction.
    return this.#database.transaction(() => {
      const raced = this.#answerAgain(request.name, keyDigest, token.id)
      if (raced) return raced
      this.#tokens.use(token.id)
      this.#save(request, keyDigest, token.id, issued)
      this.#audit.add({
        actor: `device ${request.name}`,
        action: 'device.enrolled',
        subject: request.name,
        detail: { token: token.id, serial: issued.serial },
      })
      return { device: request.name, certificate: issued.pem }
    })
  }

  #answerAgain(name: string, keyDigest: string, token: number): Enrolled | undefined {
    const device = this.#devices.find(name)
    if (!device) return undefined
    this.#checkName(device, keyDigest)
    const isSame = device.state === 'accepted' && device.key_digest === keyDigest && device.claim_token === token
    return isSame ? { device: name, certificate: device.certificate } : undefined
  }

  #checkName(device: Device, keyDigest: string): void {
    const isSameKey = device.key_digest === keyDigest
    if (device.state === 'accepted' && !isSameKey) {
      throw new InputError('device-name-taken', `Cannot enrol "${device.id}": another device has this name`, {
        hint: 'Choose another name, or decommission the old device first: DELETE /v1/devices/:id',
      })
    }
    if (device.state === 'rejected' || (device.state === 'decommissioned' && isSameKey)) {
      throw new TrustError('device-not-accepted', `Cannot enrol "${device.id}": it is ${device.state}`, {
        hint: 'Remove the identity on the device, so that it makes a new key',
      })
    }
  }

  #save(request: EnrolRequest, keyDigest: string, token: number, issued: Issued): void {
    const { query } = this.#database
    const values = {
      state: 'accepted' as const,
      public_key: request.publicKey,
      key_digest: keyDigest,
      certificate: issued.pem,
      certificate_serial: issued.serial,
      certificate_expires_ms: issued.expiresMs,
      claim_token: token,
      facts: JSON.stringify(request.facts),
    }
    const { changes } = this.#database.run(query.updateTable('devices').set(values).where('id', '=', request.name))
    if (changes > 0) return
    const { devicesMax } = this.#options
    if (this.#devices.count().total >= devicesMax) {
      throw new ResourceError('devices-max', `Cannot enrol "${request.name}": the hub has ${devicesMax} devices`, {
        hint: 'Raise limits.devicesMax',
      })
    }
    this.#database.run(
      query.insertInto('devices').values({ id: request.name, ...values, desired_revision: 0, connected: 0, created_ms: Date.now() }),
    )
    this.#releases.assignDefaults(request.name)
  }
}

function checkProof({ token, name, publicKey, proof }: EnrolRequest): void {
  const said = Buffer.from(`dunlin-enrol\n${token}\n${name}\n${publicKey}`)
  if (verify('sha256', said, createPublicKey(publicKey), Buffer.from(proof, 'base64'))) return
  throw new TrustError('proof-invalid', 'Cannot enrol: the proof is not a signature by the public key', {
    hint: 'docs/protocol.md says what is signed',
  })
}

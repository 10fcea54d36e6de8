/** The devices the hub knows. Only an accepted device whose certificate carries the registered key is let in anywhere. */
import { X509Certificate, createHash, createPublicKey } from 'node:crypto'
import type Database from 'better-sqlite3'
import type { Selectable } from 'kysely'
import { InputError, TrustError } from '../../runtime/base/errors.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import type { DeviceTable } from '../database/schema.ts'
import type { Audit } from './audit.ts'

const PAGE_BYTES_MAX = 8 * 1024 * 1024

export type Device = Selectable<DeviceTable>

export class Devices {
  readonly #database: HubDatabase
  readonly #audit: Audit
  readonly #numberOf: Database.Statement
  /** Called after a device was decommissioned: its live session must end. */
  onDecommissioned: (id: string) => void = () => {}

  constructor(database: HubDatabase, audit: Audit) {
    this.#database = database
    this.#audit = audit
    this.#numberOf = database.raw.prepare("SELECT num FROM devices WHERE id = ? AND state = 'accepted'")
  }

  /** Nobody is connected to a hub that just started. */
  open(): void {
    this.#database.run(this.#database.query.updateTable('devices').set({ connected: 0 }).where('connected', '=', 1))
  }

  find(id: string): Device | undefined {
    return this.#database.first(this.#database.query.selectFrom('devices').selectAll().where('id', '=', id))
  }

  /** Throws InputError 'device-unknown'. */
  get(id: string): Device {
    const device = this.find(id)
    if (!device) throw new InputError('device-unknown', `Cannot find device "${id}"`, { hint: 'GET /v1/devices lists them' })
    return device
  }

  /** The number of an accepted device; asked for each message. */
  numberOf(id: string): number | undefined {
    return (this.#numberOf.get(id) as { num: number } | undefined)?.num
  }

  /** One page by id, bounded in bytes as well; `next` is the id to go on after. */
  page(after: string, limit: number): { devices: Device[]; next: string | null } {
    const devices: Device[] = []
    let bytes = 0
    // One more than asked tells whether there is more.
    for (const device of this.#list(after, limit + 1)) {
      bytes += (device.reported?.length ?? 0) + device.facts.length
      if (devices.length === limit || (devices.length > 0 && bytes > PAGE_BYTES_MAX)) return { devices, next: devices.at(-1)!.id }
      devices.push(device)
    }
    return { devices, next: null }
  }

  #list(after: string, limit: number): Device[] {
    return this.#database.all(this.#database.query.selectFrom('devices').selectAll().where('id', '>', after).orderBy('id').limit(limit))
  }

  count(): { total: number; accepted: number; connected: number } {
    const { query } = this.#database
    const row = this.#database.first(
      query
        .selectFrom('devices')
        .select(({ fn, eb }) => [
          fn.countAll<number>().as('total'),
          fn.sum<number>(eb.case().when('state', '=', 'accepted').then(1).else(0).end()).as('accepted'),
          fn.sum<number>('connected').as('connected'),
        ]),
    )
    return { total: row?.total ?? 0, accepted: row?.accepted ?? 0, connected: row?.connected ?? 0 }
  }

  /** The device that a client certificate stands for; TLS has verified that our authority signed it. Throws TrustError. */
  authenticate(certificate: { readonly subject: { readonly CN?: unknown }; readonly raw: Buffer } | null): Device {
    const commonName = certificate?.subject.CN
    const device = typeof commonName === 'string' ? this.find(commonName) : undefined
    if (!certificate || !device) throw new TrustError('device-not-enrolled', 'Cannot let the device in: it is not enrolled at this hub')
    if (device.state !== 'accepted') {
      throw new TrustError('device-not-accepted', `Cannot let "${device.id}" in: it is ${device.state}`, {
        hint: 'Enrol it with a new key and a new claim token',
      })
    }
    const publicKey = new X509Certificate(certificate.raw).publicKey.export({ type: 'spki', format: 'der' })
    if (digestOf(publicKey) !== device.key_digest) {
      throw new TrustError('device-key-replaced', `Cannot let "${device.id}" in: its certificate is of a key that was replaced`)
    }
    return device
  }

  setConnected(id: string, isConnected: boolean): void {
    const values = { connected: isConnected ? 1 : 0, last_seen_ms: Date.now() }
    this.#database.run(this.#database.query.updateTable('devices').set(values).where('id', '=', id))
  }

  setReported(id: string, reported: string, facts: string | undefined): void {
    const values = { reported, last_seen_ms: Date.now(), ...(facts === undefined ? {} : { facts }) }
    this.#database.run(this.#database.query.updateTable('devices').set(values).where('id', '=', id))
  }

  /** The certificate is no longer let in; what the device sent stays. */
  decommission(id: string): void {
    const device = this.get(id)
    this.#database.transaction(() => {
      const { query } = this.#database
      this.#database.run(
        query
          .updateTable('devices')
          .set({ state: 'decommissioned', connected: 0, desired_revision: device.desired_revision + 1 })
          .where('num', '=', device.num),
      )
      this.#database.run(query.deleteFrom('assignments').where('device', '=', device.num))
      this.#audit.add({ actor: 'operator', action: 'device.decommissioned', subject: id })
    })
    this.onDecommissioned(id)
  }
}

export function digestOf(publicKeyDer: Uint8Array): string {
  return createHash('sha256').update(publicKeyDer).digest('hex')
}

/** SPKI DER of a P-256 key in PEM. Throws InputError 'key-invalid'. */
export function spkiOf(publicKeyPem: string): Buffer {
  try {
    const key = createPublicKey(publicKeyPem)
    if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1')
      return key.export({ type: 'spki', format: 'der' })
  } catch (cause) {
    throw new InputError('key-invalid', 'Cannot read the public key: expected SPKI in PEM', { cause })
  }
  throw new InputError('key-invalid', 'Cannot use the public key: expected ECDSA P-256')
}

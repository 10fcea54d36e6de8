/** The hub's real certificate authority in a folder of its own, with what tests need beside it. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { CertificateAuthority } from '../../hub/certificates/certificate-authority.ts'

const HOUR_MS = 3_600_000

export interface TestCertificate {
  readonly certificate: string
  readonly key: string
}

export class TestCa {
  readonly #authority: CertificateAuthority

  private constructor(authority: CertificateAuthority) {
    this.#authority = authority
  }

  static async make(): Promise<TestCa> {
    const folder = mkdtempSync(path.join(tmpdir(), 'dunlin-test-ca-'))
    try {
      return new TestCa(await CertificateAuthority.open(folder))
    } finally {
      rmSync(folder, { recursive: true })
    }
  }

  get certificate(): string {
    return this.#authority.certificate
  }

  get fingerprint(): string {
    return this.#authority.fingerprint
  }

  server(): Promise<TestCertificate> {
    return this.#issue('hub', 'serverAuth', ['localhost', '127.0.0.1'])
  }

  device(name: string): Promise<TestCertificate> {
    return this.#issue(name, 'clientAuth')
  }

  /** A certificate for a key the device made (SPKI, PEM). */
  async certify(name: string, publicKey: string): Promise<string> {
    return (await this.#authority.issue({ publicKey, commonName: name, lifetimeMs: HOUR_MS, use: 'clientAuth' })).pem
  }

  async #issue(commonName: string, use: 'serverAuth' | 'clientAuth', names?: string[]): Promise<TestCertificate> {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { pem } = await this.#authority.issue({ publicKey: pemOf(publicKey, 'spki'), commonName, lifetimeMs: HOUR_MS, use, names })
    return { certificate: pem, key: pemOf(privateKey, 'pkcs8') }
  }
}

function pemOf(key: KeyObject, type: 'spki' | 'pkcs8'): string {
  return key.export({ type: type as 'pkcs8', format: 'pem' }).toString()
}

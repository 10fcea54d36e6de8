/**
 * The hub's own certificate authority (ECDSA P-256). It signs the hub's server certificate and one client certificate per device.
 * Its key never leaves `<dataDir>/ca` (0700, the file 0600). Certificates start a day early: clocks of devices are not exact.
 */
// @peculiar/x509 does not load without it.
import 'reflect-metadata'
import * as x509 from '@peculiar/x509'
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import { join } from 'node:path'
import { makePrivateFolder, readFileIfThere, readPrivateFile, writeDurably } from '../../runtime/base/durable-file.ts'
import { TrustError } from '../../runtime/base/errors.ts'
import { splitPem } from './pem.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 24 * 60 * 60 * 1000
export const CA_LIFETIME_MS = 20 * 365 * DAY_MS
const BACKDATE_MS = DAY_MS

type CryptoKey = webcrypto.CryptoKey

export interface IssueOptions {
  /** SPKI, PEM. */
  readonly publicKey: string
  readonly commonName: string
  readonly lifetimeMs: number
  readonly use: 'serverAuth' | 'clientAuth'
  readonly names?: readonly string[]
}

export interface Issued {
  readonly pem: string
  readonly serial: string
  readonly expiresMs: number
}

export class CertificateAuthority {
  /** PEM. */
  readonly certificate: string
  /** SHA-256 of the certificate's DER, hex: the last part of a claim token. */
  readonly fingerprint: string
  readonly expiresMs: number
  readonly #signingKey: CryptoKey
  readonly #parsed: x509.X509Certificate

  private constructor(certificate: string, signingKey: CryptoKey) {
    this.certificate = certificate
    this.#signingKey = signingKey
    this.#parsed = new x509.X509Certificate(certificate)
    this.fingerprint = createHash('sha256').update(new Uint8Array(this.#parsed.rawData)).digest('hex')
    this.expiresMs = this.#parsed.notAfter.getTime()
  }

  /**
   * Reads the authority in `folder`, or makes one when there is none. Key and certificate are one file, so that they are there
   * together or not at all; `ca.pem` is the public copy for people and devices.
   */
  static async open(folder: string): Promise<CertificateAuthority> {
    makePrivateFolder(folder)
    const [file, publicFile] = [join(folder, 'authority.pem'), join(folder, 'ca.pem')]
    let pem = readPrivateFile(file)
    if (pem === undefined && readFileIfThere(publicFile) !== undefined) {
      throw new TrustError('ca-key-missing', `Cannot find ${file}, but ${publicFile} is there`, {
        hint: 'Restore it from the backup: every device trusts this authority',
      })
    }
    if (pem === undefined) {
      pem = await makeAuthority()
      writeDurably(file, pem)
    }
    const { key, certificate } = splitPem(pem, file)
    if (readFileIfThere(publicFile) !== certificate) writeDurably(publicFile, certificate, 0o644)
    return new CertificateAuthority(certificate, await importKey(key))
  }

  async issue(options: IssueOptions): Promise<Issued> {
    const now = Date.now()
    const publicKey = new x509.PublicKey(options.publicKey)
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: [{ CN: [options.commonName] }],
      issuer: this.#parsed.subjectName.toJSON(),
      notBefore: new Date(now - BACKDATE_MS),
      notAfter: new Date(Math.min(now + options.lifetimeMs, this.expiresMs)),
      publicKey,
      signingKey: this.#signingKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[options.use]], false),
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(this.#parsed.publicKey),
        ...(options.names ? [new x509.SubjectAlternativeNameExtension(options.names.map(generalName))] : []),
      ],
    })
    return { pem: certificate.toString('pem'), serial: certificate.serialNumber, expiresMs: certificate.notAfter.getTime() }
  }
}

async function makeAuthority(): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')
  return `${key.trim()}\n${await selfSigned(keys)}\n`
}

async function selfSigned(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [`Dunlin hub ${randomBytes(4).toString('hex')}`] }],
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + CA_LIFETIME_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return certificate.toString('pem')
}

function importKey(pem: string): Promise<CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign'])
}

/** 128 random bits, positive, never starting with a zero byte. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = (bytes[0]! & 0x3f) | 0x40
  return bytes.toString('hex')
}

function generalName(name: string): x509.JsonGeneralName {
  return { type: /^[0-9.]+$|:/.test(name) ? 'ip' : 'dns', value: name }
}

/** The certificate that the API and the gateway show. Made again at start when its names changed, it nears its end, or the authority is another. */
import { X509Certificate, generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { readPrivateFile, writeDurably } from '../../runtime/base/durable-file.ts'
import type { CertificateAuthority } from './certificate-authority.ts'
import { splitPem } from './pem.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const LIFETIME_MS = 2 * 365 * DAY_MS
const RENEW_BEFORE_MS = LIFETIME_MS / 3
const ALWAYS = ['localhost', '127.0.0.1']

export interface ServerCertificate {
  readonly key: string
  /** Leaf, then the authority: a device that has only the fingerprint sees the authority here. */
  readonly chain: string
  readonly expiresMs: number
}

export async function openServerCertificate(
  folder: string,
  authority: CertificateAuthority,
  names: readonly string[],
): Promise<ServerCertificate> {
  const file = join(folder, 'server.pem')
  const wanted = [...new Set([...names, ...ALWAYS])]
  let pem = readPrivateFile(file)
  if (pem === undefined || !isUsable(splitPem(pem, file).certificate, authority, wanted)) {
    pem = await makeCertificate(authority, wanted)
    writeDurably(file, pem)
  }
  const { key, certificate } = splitPem(pem, file)
  return { key, chain: certificate + authority.certificate, expiresMs: new X509Certificate(certificate).validToDate.getTime() }
}

async function makeCertificate(authority: CertificateAuthority, names: readonly string[]): Promise<string> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { pem } = await authority.issue({
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    commonName: names[0]!.slice(0, 64),
    lifetimeMs: LIFETIME_MS,
    use: 'serverAuth',
    names,
  })
  return `${privateKey.export({ type: 'pkcs8', format: 'pem' })}${pem}\n`
}

function isUsable(pem: string, authority: CertificateAuthority, names: readonly string[]): boolean {
  const certificate = new X509Certificate(pem)
  if (certificate.validToDate.getTime() - Date.now() < RENEW_BEFORE_MS) return false
  if (!certificate.verify(new X509Certificate(authority.certificate).publicKey)) return false
  const has = (certificate.subjectAltName ?? '').split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, ''))
  return has.length === names.length && names.every((name) => has.includes(name))
}

import { X509Certificate, createPrivateKey } from 'node:crypto'
import { TrustError } from '../../runtime/base/errors.ts'

export interface KeyAndCertificate {
  readonly key: string
  readonly certificate: string
}

/** A file of one private key and its certificate. Throws TrustError when one is missing or they are not a pair. */
export function splitPem(text: string, file: string): KeyAndCertificate {
  const key = block(text, 'PRIVATE KEY')
  const certificate = block(text, 'CERTIFICATE')
  if (key === undefined || certificate === undefined)
    throw new TrustError('pem-incomplete', `Cannot use ${file}: expected a private key and a certificate`)
  if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
    throw new TrustError('pem-mismatch', `Cannot use ${file}: its certificate is of another key`)
  }
  return { key, certificate }
}

function block(text: string, label: string): string | undefined {
  const match = text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`))
  return match ? `${match[0]}\n` : undefined
}

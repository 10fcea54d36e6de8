/**
 * How a device that has no CA yet knows its hub: the claim token carries the fingerprint of the hub's CA. The first handshake
 * only fetches the chain and sends nothing; the CA found there is used in a second, fully verified connection. So a stranger in
 * between can show the true CA, but cannot answer with a certificate signed by it.
 */
import type { X509Certificate } from 'node:crypto'
import net from 'node:net'
import tls from 'node:tls'
import { InputError, ResourceError, TrustError } from '../../runtime/base/errors.ts'
import { CLAIM_TOKEN_PATTERN } from '../../config/wire.ts'
import { connectionError } from '../link/hub-https.ts'

const HANDSHAKE_TIMEOUT_MS = 15_000
const CHAIN_LENGTH_MAX = 8

/** The CA's fingerprint out of a claim token. Throws InputError 'claim-token-invalid'. */
export function fingerprintOf(claimToken: string): string {
  if (!CLAIM_TOKEN_PATTERN.test(claimToken)) {
    throw new InputError('claim-token-invalid', 'Cannot read the claim token: expected dnl1.<secret>.<fingerprint>', {
      hint: 'copy it whole, without spaces; `dunlin claim-token` makes a new one',
    })
  }
  return claimToken.slice(claimToken.lastIndexOf('.') + 1)
}

/** The hub's CA certificate (PEM) whose SHA-256 is `fingerprint`. Throws TrustError 'hub-not-trusted' when the hub does not show it. */
export async function fetchHubCa(hubUrl: string, fingerprint: string, signal?: AbortSignal): Promise<string> {
  const leaf = await peerCertificate(hubUrl, signal)
  let certificate: X509Certificate | undefined = leaf
  for (let depth = 0; certificate && depth < CHAIN_LENGTH_MAX; depth++) {
    if (digestOf(certificate) === fingerprint && isCaItself(certificate)) return certificate.toString()
    if (certificate.issuerCertificate === certificate) break
    certificate = certificate.issuerCertificate
  }
  throw new TrustError('hub-not-trusted', `Cannot trust the hub at ${hubUrl}: it does not show the CA named in the claim token`, {
    hint: "the token is of another hub, or something between answers in the hub's place",
  })
}

function digestOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

function isCaItself(certificate: X509Certificate): boolean {
  return certificate.ca && certificate.verify(certificate.publicKey)
}

function peerCertificate(hubUrl: string, signal?: AbortSignal): Promise<X509Certificate> {
  const { hostname, port } = new URL(hubUrl)
  const host = hostname.replace(/^\[|\]$/g, '')
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>()
  if (signal?.aborted) return Promise.reject(signal.reason)
  const socket = tls.connect({
    host,
    port: Number(port || 443),
    servername: net.isIP(host) === 0 ? host : undefined,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.2',
  })
  const onAbort = () => socket.destroy(signal!.reason as Error)
  signal?.addEventListener('abort', onAbort, { once: true })
  socket.setTimeout(HANDSHAKE_TIMEOUT_MS, () => socket.destroy(new ResourceError('hub-silent', 'No answer to the TLS handshake')))
  socket.once('secureConnect', () => {
    const certificate = socket.getPeerX509Certificate()
    socket.destroy()
    if (certificate) resolve(certificate)
    else reject(new TrustError('hub-not-trusted', `Cannot trust the hub at ${hubUrl}: it shows no certificate`))
  })
  socket.on('error', (error) => reject(signal?.aborted ? signal.reason : connectionError(hubUrl, error)))
  socket.once('close', () => {
    signal?.removeEventListener('abort', onAbort)
    reject(connectionError(hubUrl, new Error('the connection was closed in the handshake')))
  })
  return promise
}

/** Ed25519 keys as TUF metadata names and uses them. The hub's online keys and the publisher's keys are made the same way. */
import { Key, Signature } from '@tufjs/models'
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { readPrivateFile, writeDurably } from './durable-file.ts'

export interface SigningKey {
  readonly key: Key
  sign(data: Buffer): Signature
}

/** The key in `path` (PKCS#8 PEM, 0600); made there when there is none. */
export function openSigningKey(path: string): SigningKey {
  const pem = readPrivateFile(path)
  if (pem !== undefined) return signingKey(createPrivateKey(pem))
  const { privateKey } = generateKeyPairSync('ed25519')
  writeDurably(path, privateKey.export({ type: 'pkcs8', format: 'pem' }))
  return signingKey(privateKey)
}

export function signingKey(privateKey: KeyObject): SigningKey {
  const key = keyOf(createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString())
  return { key, sign: (data) => new Signature({ keyID: key.keyID, sig: sign(null, data, privateKey).toString('hex') }) }
}

/** The TUF key of an Ed25519 public key (SPKI PEM). Its id is the SHA-256 of what it says, keys in order. */
export function keyOf(publicPem: string): Key {
  const value = { keytype: 'ed25519', keyval: { public: publicPem }, scheme: 'ed25519' }
  const keyID = createHash('sha256').update(JSON.stringify(value)).digest('hex')
  return new Key({ keyID, keyType: value.keytype, scheme: value.scheme, keyVal: value.keyval })
}

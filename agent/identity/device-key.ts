/** The device's key pair: ECDSA P-256, made on the device, readable by its owner only, never sent anywhere. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { chmod, readFile } from 'node:fs/promises'
import path from 'node:path'
import { codeOf, ResourceError } from '../../runtime/base/errors.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { makeDirectoryDurably, writeFileDurably } from '../../runtime/base/durable-write.ts'

export const KEY_FILE = 'device.key'
const CURVE = 'prime256v1'

/** The key in `directory`, made there when there is none. An unreadable one is an error: a new key would be another device. */
export async function openDeviceKey(directory: string): Promise<KeyObject> {
  await makeDirectoryDurably(directory, 0o700)
  const file = path.join(directory, KEY_FILE)
  const existing = await readKey(file)
  if (existing) return existing
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: CURVE })
  await writeFileDurably(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600)
  crashPoint('identity:after-key')
  return privateKey
}

/** SPKI, PEM. */
export function publicKeyOf(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
}

/** The enrolment's proof of possession. */
export function enrolProof(key: KeyObject, token: string, name: string, publicKey: string): string {
  return sign('sha256', Buffer.from(`dunlin-enrol\n${token}\n${name}\n${publicKey}`), key).toString('base64')
}

async function readKey(file: string): Promise<KeyObject | undefined> {
  let pem: string
  try {
    pem = await readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new ResourceError('device-key-unreadable', `Cannot read the device's key ${file}`, { cause: error })
  }
  try {
    const key = createPrivateKey(pem)
    await chmod(file, 0o600)
    return key
  } catch (error) {
    throw new ResourceError('device-key-damaged', `Cannot use the device's key ${file}`, {
      cause: error,
      hint: 'put it back from a copy, or remove the identity folder and enrol again with a new claim token and name',
    })
  }
}

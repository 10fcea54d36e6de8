/**
 * Who the device is at its hub: what enrolment left in <dataDir>/identity. enrolment.json is written last: with it the
 * identity is whole, without it the device is not enrolled yet.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import { DEVICE_ID_PATTERN } from '../../config/wire.ts'
import { codeOf, ResourceError } from '../../runtime/base/errors.ts'
import { KEY_FILE } from './device-key.ts'

export const CERTIFICATE_FILE = 'device.crt'
export const CA_FILE = 'ca.crt'
export const TUF_ROOT_FILE = 'root.json'
export const ENROLMENT_FILE = 'enrolment.json'

const Enrolment = v.object({
  device: v.pipe(v.string(), v.regex(DEVICE_ID_PATTERN)),
  hubUrl: v.string(),
  gateway: v.object({ host: v.string(), port: v.number() }),
})
export type Enrolment = v.InferOutput<typeof Enrolment>

export interface Identity extends Enrolment {
  /** PEM. */
  readonly certificate: string
  readonly key: string
  readonly ca: string
  /** The first TUF root the device trusts, as text. */
  readonly tufRoot: string
}

export function identityDirectory(dataDir: string): string {
  return path.join(dataDir, 'identity')
}

/** The identity in `directory`, or undefined when the device is not enrolled. Throws ResourceError 'identity-damaged' when a part is missing or unreadable. */
export async function loadIdentity(directory: string): Promise<Identity | undefined> {
  const read = (name: string) => readFile(path.join(directory, name), 'utf8')
  let text: string
  try {
    text = await read(ENROLMENT_FILE)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw damaged(directory, error)
  }
  try {
    const enrolment = v.parse(Enrolment, JSON.parse(text))
    const [certificate, key, ca, tufRoot] = await Promise.all([read(CERTIFICATE_FILE), read(KEY_FILE), read(CA_FILE), read(TUF_ROOT_FILE)])
    return { ...enrolment, certificate, key, ca, tufRoot }
  } catch (error) {
    throw damaged(directory, error)
  }
}

function damaged(directory: string, cause: unknown): ResourceError {
  return new ResourceError('identity-damaged', `Cannot read the device's identity in ${directory}`, {
    cause,
    hint: `remove ${ENROLMENT_FILE} there and enrol again with a claim token; the key stays`,
  })
}

/** The hub's two TUF keys. They say which targets are current; they cannot sign a function. */
import { join } from 'node:path'
import { makePrivateFolder } from '../../runtime/base/durable-file.ts'
import { openSigningKey, type SigningKey } from '../../runtime/base/signing-key.ts'

export interface OnlineKeys {
  readonly snapshot: SigningKey
  readonly timestamp: SigningKey
}

export function openOnlineKeys(folder: string): OnlineKeys {
  makePrivateFolder(folder)
  return { snapshot: openSigningKey(join(folder, 'snapshot.key')), timestamp: openSigningKey(join(folder, 'timestamp.key')) }
}

/** What the hub asks of root and targets before it keeps them. Each check throws with a code of its own. */
import type { Metadata, Root, TargetFile, Targets } from '@tufjs/models'
import { createHash } from 'node:crypto'
import { InputError, TrustError } from '../../runtime/base/errors.ts'
import type { OnlineKeys } from './online-keys.ts'

/** Throws TrustError 'signature-missing' unless enough keys of `role` in `root` signed `metadata`. */
export function checkSigned(root: Metadata<Root>, role: string, metadata: Metadata<Root> | Metadata<Targets>): void {
  try {
    root.verifyDelegate(role, metadata)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new TrustError('signature-missing', `Cannot trust ${role} metadata of version ${metadata.signed.version}: ${why}`, {
      cause,
      hint: 'Sign it with the keys that root.json names',
    })
  }
}

export function isSigned(root: Metadata<Root>, role: string, metadata: Metadata<Targets>): boolean {
  try {
    root.verifyDelegate(role, metadata)
    return true
  } catch {
    return false
  }
}

export function checkFresh(role: string, { signed }: Metadata<Root> | Metadata<Targets>): void {
  if (signed.isExpired()) throw new TrustError('metadata-expired', `Cannot trust ${role} metadata: it expired at ${signed.expires}`)
}

export function checkVersion(role: string, { signed }: Metadata<Root> | Metadata<Targets>, expected: number): void {
  if (signed.version === expected) return
  throw new InputError('version-conflict', `Cannot take ${role} metadata of version ${signed.version}: expected ${expected}`, {
    hint: 'Somebody else published meanwhile: fetch the current metadata and sign again',
  })
}

/** The next root after `previous`: one version on, signed by the keys before and by its own. The first may be of any version: its publisher may have had another hub. */
export function checkNextRoot(previous: Metadata<Root> | undefined, root: Metadata<Root>): void {
  if (previous) {
    checkVersion('root', root, previous.signed.version + 1)
    checkSigned(previous, 'root', root)
  }
  checkSigned(root, 'root', root)
  checkFresh('root', root)
  if (!root.signed.consistentSnapshot) throw new TrustError('root-inconsistent', 'Cannot use this root: consistent_snapshot is not true')
}

/** The root must let this hub sign snapshots and timestamps, each alone. */
export function checkOnlineKeys(root: Metadata<Root>, keys: OnlineKeys, hint: string): void {
  for (const role of ['snapshot', 'timestamp'] as const) {
    const { keyID } = keys[role].key
    const named = root.signed.roles[role]
    const key = root.signed.keys[keyID]
    if (named?.threshold !== 1 || !named.keyIDs.includes(keyID) || !key?.equals(keys[role].key)) {
      throw new TrustError('online-key-missing', `Cannot use this root: its role ${role} does not name this hub's key ${keyID}`, { hint })
    }
  }
}

export function checkTarget({ signed }: Metadata<Targets>, path: string, text: string): void {
  const target = signed.targets[path]
  if (!target) throw new TrustError('target-missing', `Cannot find ${path} in the targets`)
  const digest = createHash('sha256').update(text).digest('hex')
  if (target.length !== Buffer.byteLength(text) || target.hashes['sha256'] !== digest) {
    throw new TrustError('target-mismatch', `Cannot publish ${path}: the manifest is not the one that was signed`)
  }
}

/** Versions are immutable, and a target whose content the hub has not been given cannot be served. Leaving one out withdraws it. */
export function checkUnchanged(previous: Metadata<Targets> | undefined, next: Metadata<Targets>, added: string | null): void {
  const before: Readonly<Record<string, TargetFile>> = previous?.signed.targets ?? {}
  for (const [path, target] of Object.entries(next.signed.targets)) {
    if (before[path] && !before[path].equals(target)) {
      throw new TrustError('target-changed', `Cannot change ${path}: a published version stays as it is`)
    }
    if (!before[path] && path !== added) throw new TrustError('target-unknown', `Cannot add ${path}: its manifest was not sent`)
  }
}

/** Signs what is current: snapshots name the targets, timestamps name the snapshot. */
import { MetaFile, Metadata, Snapshot, Timestamp } from '@tufjs/models'
import { createHash } from 'node:crypto'
import type { OnlineKeys } from './online-keys.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** How long a device that is kept from the hub may take old metadata for current. */
export const TIMESTAMP_LIFETIME_MS = DAY_MS
export const SNAPSHOT_LIFETIME_MS = 14 * DAY_MS
const SPEC_VERSION = '1.0.31'

export class OnlineSigner {
  readonly keys: OnlineKeys

  constructor(keys: OnlineKeys) {
    this.keys = keys
  }

  /** What the publisher puts into root.json for the roles snapshot and timestamp. */
  publicKeys(): { snapshot: object; timestamp: object } {
    const entry = ({ key }: OnlineKeys['snapshot']) => ({ keyid: key.keyID, ...key.toJSON() })
    return { snapshot: entry(this.keys.snapshot), timestamp: entry(this.keys.timestamp) }
  }

  snapshot(version: number, targets: { version: number; text: string }): Metadata<Snapshot> {
    const meta = { 'targets.json': metaFile(targets.version, targets.text) }
    const snapshot = new Metadata(new Snapshot({ version, specVersion: SPEC_VERSION, expires: expiresIn(SNAPSHOT_LIFETIME_MS), meta }))
    snapshot.sign((data) => this.keys.snapshot.sign(data))
    return snapshot
  }

  timestamp(version: number, snapshot: { version: number; text: string }): Metadata<Timestamp> {
    const snapshotMeta = metaFile(snapshot.version, snapshot.text)
    const expires = expiresIn(TIMESTAMP_LIFETIME_MS)
    const timestamp = new Metadata(new Timestamp({ version, specVersion: SPEC_VERSION, expires, snapshotMeta }))
    timestamp.sign((data) => this.keys.timestamp.sign(data))
    return timestamp
  }
}

export function needsRenewal(snapshot: Metadata<Snapshot>): boolean {
  return Date.parse(snapshot.signed.expires) - Date.now() < SNAPSHOT_LIFETIME_MS / 2
}

function metaFile(version: number, text: string): MetaFile {
  return new MetaFile({ version, length: Buffer.byteLength(text), hashes: { sha256: createHash('sha256').update(text).digest('hex') } })
}

function expiresIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

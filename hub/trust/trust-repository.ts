/**
 * The hub's half of TUF. The publisher signs root and targets; the hub checks them, keeps them and signs which are current.
 * A published version is in the repository before the registry lists it: on start the registry is made to agree with the targets.
 *
 * Changes run one at a time. Nothing is answered before its files are fsynced.
 */
import { MetaFile, Metadata, MetadataKind, Snapshot, Timestamp, type Root, type TargetFile, type Targets } from '@tufjs/models'
import { createHash } from 'node:crypto'
import { DunlinError, InputError, TrustError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { OnlineKeys } from './online-keys.ts'
import { parseRoot, parseTargets, verifySigned } from './parse-metadata.ts'
import type { RepositoryFiles } from './repository-files.ts'

const HOUR_MS = 60 * 60 * 1000
const DAY_MS = 24 * HOUR_MS
/** How long a device that is kept from the hub may take old metadata for current. */
export const TIMESTAMP_LIFETIME_MS = DAY_MS
export const SNAPSHOT_LIFETIME_MS = 14 * DAY_MS
const RESIGN_EVERY_MS = HOUR_MS

interface Current {
  readonly root: Metadata<Root>
  readonly rootText: string
  readonly targets: Metadata<Targets>
  readonly targetsText: string
  readonly snapshot: Metadata<Snapshot>
  readonly timestampVersion: number
}

export interface TrustStatus {
  readonly isReady: boolean
  readonly rootVersion: number
  readonly targetsVersion: number
  readonly rootExpires: string | null
  readonly targetsExpires: string | null
}

export class TrustRepository {
  readonly #files: RepositoryFiles
  readonly #keys: OnlineKeys
  readonly #logger: Logger
  #current: Current | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(files: RepositoryFiles, keys: OnlineKeys, logger: Logger) {
    this.#files = files
    this.#keys = keys
    this.#logger = logger
  }

  open(): void {
    this.#files.open()
    this.#current = this.#load()
    if (this.#current) this.#commit(this.#current)
    this.#timer = setInterval(() => this.#resign(), RESIGN_EVERY_MS)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** What the publisher puts into root.json for the roles snapshot and timestamp. */
  onlineKeys(): { snapshot: object; timestamp: object } {
    const entry = ({ key }: OnlineKeys['snapshot']) => ({ keyid: key.keyID, ...key.toJSON() })
    return { snapshot: entry(this.#keys.snapshot), timestamp: entry(this.#keys.timestamp) }
  }

  read(name: string): string | undefined {
    return this.#files.read(name)
  }

  /** The newest root.json as text. Throws 'trust-not-ready' before the publisher has sent one. */
  rootText(): string {
    return this.#ready().rootText
  }

  status(): TrustStatus {
    const current = this.#current
    return {
      isReady: current !== undefined,
      rootVersion: current?.root.signed.version ?? 0,
      targetsVersion: current?.targets.signed.version ?? 0,
      rootExpires: current?.root.signed.expires ?? null,
      targetsExpires: current?.targets.signed.expires ?? null,
    }
  }

  /** Targets as they are now; empty before the start of trust. */
  targets(): Readonly<Record<string, TargetFile>> {
    return this.#current?.targets.signed.targets ?? {}
  }

  /**
   * Takes the first root and targets, or the next root (signed by the keys of the one before as well) with targets that it trusts.
   * The same pair again changes nothing.
   */
  initialise(rootText: string, targetsText: string): void {
    const current = this.#current
    if (current?.rootText === rootText && current.targetsText === targetsText) return
    const root = parseRoot(rootText)
    const targets = parseTargets(targetsText)
    this.#checkRoot(root, rootText)
    verifySigned(root, 'targets', targets)
    checkFresh('targets', targets.signed)
    const expected = current === undefined ? 1 : current.targets.signed.version + 1
    if (targetsText !== current?.targetsText && targets.signed.version !== expected)
      throw wrongVersion('targets', targets.signed.version, expected)
    if (current === undefined && Object.keys(targets.signed.targets).length > 0) {
      throw new InputError('targets-not-empty', 'Cannot begin with targets that name functions: publish them one by one')
    }
    if (current && targetsText !== current.targetsText) checkUnchanged(current.targets, targets, new Set())
    this.#files.write(`${targets.signed.version}.targets.json`, targetsText)
    this.#files.write(`${root.signed.version}.root.json`, rootText)
    this.#advance(root, rootText, targets, targetsText)
  }

  /**
   * Checks targets that add exactly `path`, whose content is `text`. Returns what commits it; `undefined` when it is current already
   * (the answer to the same request was lost).
   */
  prepare(targetsText: string, path: string, text: string): (() => void) | undefined {
    const { root, rootText, targets: previous, targetsText: previousText } = this.#ready()
    const targets = parseTargets(targetsText)
    verifySigned(root, 'targets', targets)
    checkTarget(targets.signed.targets[path], path, text)
    if (targetsText === previousText) return undefined
    checkFresh('targets', targets.signed)
    if (targets.signed.version !== previous.signed.version + 1)
      throw wrongVersion('targets', targets.signed.version, previous.signed.version + 1)
    checkUnchanged(previous, targets, new Set([path]))
    return () => {
      this.#files.write(`${targets.signed.version}.targets.json`, targetsText)
      this.#advance(root, rootText, targets, targetsText)
    }
  }

  #checkRoot(root: Metadata<Root>, text: string): void {
    const current = this.#current
    if (text !== current?.rootText) {
      const expected = (current?.root.signed.version ?? 0) + 1
      if (root.signed.version !== expected) throw wrongVersion('root', root.signed.version, expected)
      if (current) verifySigned(current.root, 'root', root)
    }
    verifySigned(root, 'root', root)
    checkFresh('root', root.signed)
    if (!root.signed.consistentSnapshot) throw new TrustError('root-inconsistent', 'Cannot use this root: consistent_snapshot is not true')
    this.#checkOnlineKeys(root, 'Make it with the keys of GET /v1/tuf/online-keys')
  }

  #checkOnlineKeys(root: Metadata<Root>, hint: string): void {
    for (const role of ['snapshot', 'timestamp'] as const) {
      const { keyID } = this.#keys[role].key
      const named = root.signed.roles[role]
      const key = root.signed.keys[keyID]
      if (named?.threshold !== 1 || !named.keyIDs.includes(keyID) || !key?.equals(this.#keys[role].key)) {
        throw new TrustError('online-key-missing', `Cannot use this root: its role ${role} does not name this hub's key ${keyID}`, {
          hint,
        })
      }
    }
  }

  #advance(root: Metadata<Root>, rootText: string, targets: Metadata<Targets>, targetsText: string): void {
    const snapshot = this.#signSnapshot((this.#current?.snapshot.signed.version ?? 0) + 1, targets.signed.version, targetsText)
    this.#commit({ root, rootText, targets, targetsText, snapshot, timestampVersion: this.#current?.timestampVersion ?? 0 })
  }

  #signSnapshot(version: number, targetsVersion: number, targetsText: string): Metadata<Snapshot> {
    const snapshot = new Metadata(
      new Snapshot({
        version,
        specVersion: '1.0.31',
        expires: expiresIn(SNAPSHOT_LIFETIME_MS),
        meta: { 'targets.json': metaFile(targetsVersion, targetsText) },
      }),
    )
    snapshot.sign((data) => this.#keys.snapshot.sign(data))
    return snapshot
  }

  /** Writes the snapshot and then, as the commit, a new timestamp that names it. */
  #commit(current: Current): void {
    const snapshotText = JSON.stringify(current.snapshot.toJSON())
    const { version } = current.snapshot.signed
    if (this.#files.read(`${version}.snapshot.json`) !== snapshotText) this.#files.write(`${version}.snapshot.json`, snapshotText)
    const timestampVersion = current.timestampVersion + 1
    const timestamp = new Metadata(
      new Timestamp({
        version: timestampVersion,
        specVersion: '1.0.31',
        expires: expiresIn(TIMESTAMP_LIFETIME_MS),
        snapshotMeta: metaFile(version, snapshotText),
      }),
    )
    timestamp.sign((data) => this.#keys.timestamp.sign(data))
    this.#files.write('timestamp.json', JSON.stringify(timestamp.toJSON()))
    this.#current = { ...current, timestampVersion }
  }

  #resign(): void {
    const current = this.#current
    if (!current) return
    try {
      const isOld = Date.parse(current.snapshot.signed.expires) - Date.now() < SNAPSHOT_LIFETIME_MS / 2
      if (isOld) this.#advance(current.root, current.rootText, current.targets, current.targetsText)
      else this.#commit(current)
    } catch (error) {
      this.#logger.error({ err: error }, 'cannot renew the TUF timestamp; it is tried again in an hour')
    }
  }

  /** Reads what timestamp.json names and checks it against the newest root: a file changed behind our back is an error, not a start. */
  #load(): Current | undefined {
    const newest = this.#files.newestRoot()
    const timestampText = this.#files.read('timestamp.json')
    if (!newest || timestampText === undefined) return undefined
    const root = parseRoot(newest.text)
    this.#checkOnlineKeys(root, 'Restore the folder keys/ from the backup')
    const timestamp = Metadata.fromJSON(MetadataKind.Timestamp, JSON.parse(timestampText))
    const stored = Metadata.fromJSON(
      MetadataKind.Snapshot,
      JSON.parse(this.#need(`${timestamp.signed.snapshotMeta.version}.snapshot.json`)),
    )
    const meta = stored.signed.meta['targets.json']
    let targetsText = this.#need(`${meta?.version ?? 0}.targets.json`)
    meta?.verify(Buffer.from(targetsText))
    // A new root was written, and the power failed before the timestamp: the targets that came with it were written before it.
    const isSuperseded = !isSigned(root, parseTargets(targetsText))
    if (isSuperseded) targetsText = this.#need(`${meta!.version + 1}.targets.json`)
    const targets = parseTargets(targetsText)
    verifySigned(root, 'targets', targets)
    const isOld = isSuperseded || Date.parse(stored.signed.expires) - Date.now() < SNAPSHOT_LIFETIME_MS / 2
    const snapshot = isOld ? this.#signSnapshot(stored.signed.version + 1, targets.signed.version, targetsText) : stored
    return { root, rootText: newest.text, targets, targetsText, snapshot, timestampVersion: timestamp.signed.version }
  }

  #need(name: string): string {
    const text = this.#files.read(name)
    if (text === undefined)
      throw new TrustError('repository-damaged', `Cannot find ${name} of the TUF repository`, {
        hint: 'Restore the folder tuf/ from the backup',
      })
    return text
  }

  #ready(): Current {
    if (this.#current) return this.#current
    throw new DunlinError('trust-not-ready', 'Cannot do this before the hub knows whose functions to trust', {
      retryable: true,
      hint: 'Send root and targets with POST /v1/tuf/init; "dunlin up" does it',
    })
  }
}

function isSigned(root: Metadata<Root>, targets: Metadata<Targets>): boolean {
  try {
    root.verifyDelegate('targets', targets)
    return true
  } catch {
    return false
  }
}

function metaFile(version: number, text: string): MetaFile {
  return new MetaFile({ version, length: Buffer.byteLength(text), hashes: { sha256: sha256(text) } })
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function expiresIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

function checkFresh(role: string, signed: { isExpired(now?: Date): boolean; expires: string }): void {
  if (signed.isExpired()) throw new TrustError('metadata-expired', `Cannot trust ${role} metadata: it expired at ${signed.expires}`)
}

function checkTarget(target: TargetFile | undefined, path: string, text: string): void {
  if (!target) throw new TrustError('target-missing', `Cannot find ${path} in the targets`)
  if (target.length !== Buffer.byteLength(text) || target.hashes['sha256'] !== sha256(text)) {
    throw new TrustError('target-mismatch', `Cannot publish ${path}: the manifest is not the one that was signed`)
  }
}

/** Versions are immutable, and a target whose content the hub has not been given cannot be served. Leaving one out withdraws it. */
function checkUnchanged(previous: Metadata<Targets>, next: Metadata<Targets>, added: ReadonlySet<string>): void {
  for (const [path, target] of Object.entries(next.signed.targets)) {
    const before = previous.signed.targets[path]
    if (before && !before.equals(target))
      throw new TrustError('target-changed', `Cannot change ${path}: a published version stays as it is`)
    if (!before && !added.has(path)) throw new TrustError('target-unknown', `Cannot add ${path}: its manifest was not sent`)
  }
}

function wrongVersion(role: string, found: number, expected: number): InputError {
  return new InputError('version-conflict', `Cannot take ${role} metadata of version ${found}: expected ${expected}`, {
    hint: 'Somebody else published meanwhile: fetch the current metadata and sign again',
  })
}

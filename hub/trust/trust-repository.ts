/**
 * The hub's half of TUF. The publisher signs root and targets; the hub checks them, keeps them and signs which are current.
 * A published version is in the repository before the registry lists it: on start the registry is made to agree with the targets.
 *
 * Every change runs to its end without waiting, so there is never more than one. It is answered after its files are fsynced.
 */
import { Metadata, MetadataKind, type Root, type Snapshot, type TargetFile, type Targets } from '@tufjs/models'
import { DunlinError, TrustError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import {
  checkFresh,
  checkNextRoot,
  checkOnlineKeys,
  checkSigned,
  checkTarget,
  checkUnchanged,
  checkVersion,
  isSigned,
} from './metadata-checks.ts'
import { needsRenewal, type OnlineSigner } from './online-signer.ts'
import { parseRoot, parseTargets } from './parse-metadata.ts'
import type { RepositoryFiles } from './repository-files.ts'

const RESIGN_EVERY_MS = 60 * 60 * 1000

/** Signed by the publisher, with the text it came as. */
interface Trusted {
  readonly root: Metadata<Root>
  readonly rootText: string
  readonly targets: Metadata<Targets>
  readonly targetsText: string
}

interface Current extends Trusted {
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
  readonly #signer: OnlineSigner
  readonly #logger: Logger
  #current: Current | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(files: RepositoryFiles, signer: OnlineSigner, logger: Logger) {
    this.#files = files
    this.#signer = signer
    this.#logger = logger
  }

  open(): void {
    this.#files.open()
    this.#current = this.#load()
    if (this.#current) this.#renew(this.#current)
    this.#timer = setInterval(() => this.#renewOnTimer(), RESIGN_EVERY_MS)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  onlineKeys(): { snapshot: object; timestamp: object } {
    return this.#signer.publicKeys()
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
   * Takes the first root and (empty) targets, or the next root with targets that it trusts. The same pair again changes nothing.
   */
  initialise(rootText: string, targetsText: string): void {
    const current = this.#current
    const [root, targets] = [parseRoot(rootText), parseTargets(targetsText)]
    if (rootText !== current?.rootText) checkNextRoot(current?.root, root)
    checkOnlineKeys(root, this.#signer.keys, 'Make it with the keys of GET /v1/tuf/online-keys')
    checkSigned(root, 'targets', targets)
    if (targetsText !== current?.targetsText) {
      checkFresh('targets', targets)
      if (current) checkVersion('targets', targets, current.targets.signed.version + 1)
      checkUnchanged(current?.targets, targets, null)
    } else if (rootText === current.rootText) return
    this.#advance({ root, rootText, targets, targetsText })
  }

  /**
   * Checks targets that add exactly `path`, whose content is `text`. Returns what commits it, to be called before anything else can
   * happen; undefined when they are current already (the answer to the same request was lost).
   */
  prepare(targetsText: string, path: string, text: string): (() => void) | undefined {
    const current = this.#ready()
    const targets = parseTargets(targetsText)
    checkSigned(current.root, 'targets', targets)
    checkTarget(targets, path, text)
    if (targetsText === current.targetsText) return undefined
    checkFresh('targets', targets)
    checkVersion('targets', targets, current.targets.signed.version + 1)
    checkUnchanged(current.targets, targets, path)
    return () => this.#advance({ ...current, targets, targetsText })
  }

  /** Targets before root: after a crash between the two, the targets that the new root trusts are there. */
  #advance(trusted: Trusted): void {
    this.#files.write(`${trusted.targets.signed.version}.targets.json`, trusted.targetsText)
    if (trusted.rootText !== this.#current?.rootText) this.#files.write(`${trusted.root.signed.version}.root.json`, trusted.rootText)
    const snapshot = this.#sign(trusted, (this.#current?.snapshot.signed.version ?? 0) + 1)
    this.#commit({ ...trusted, snapshot, timestampVersion: this.#current?.timestampVersion ?? 0 })
  }

  /** Writes the snapshot and then, as the commit, a new timestamp that names it. */
  #commit(current: Current): void {
    const { version } = current.snapshot.signed
    const text = JSON.stringify(current.snapshot.toJSON())
    if (this.#files.read(`${version}.snapshot.json`) !== text) this.#files.write(`${version}.snapshot.json`, text)
    const timestampVersion = current.timestampVersion + 1
    this.#files.write('timestamp.json', JSON.stringify(this.#signer.timestamp(timestampVersion, { version, text }).toJSON()))
    this.#current = { ...current, timestampVersion }
  }

  #sign({ targets, targetsText }: Trusted, version: number): Metadata<Snapshot> {
    return this.#signer.snapshot(version, { version: targets.signed.version, text: targetsText })
  }

  #renew(current: Current): void {
    const { snapshot } = current
    this.#commit(needsRenewal(snapshot) ? { ...current, snapshot: this.#sign(current, snapshot.signed.version + 1) } : current)
  }

  #renewOnTimer(): void {
    try {
      if (this.#current) this.#renew(this.#current)
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
    checkOnlineKeys(root, this.#signer.keys, 'Restore the folder keys/ from the backup')
    const timestamp = Metadata.fromJSON(MetadataKind.Timestamp, JSON.parse(timestampText))
    const snapshotText = this.#need(`${timestamp.signed.snapshotMeta.version}.snapshot.json`)
    const snapshot = Metadata.fromJSON(MetadataKind.Snapshot, JSON.parse(snapshotText))
    const meta = snapshot.signed.meta['targets.json']
    const targetsText = this.#need(`${meta?.version ?? 0}.targets.json`)
    meta?.verify(Buffer.from(targetsText))
    const current = { root, rootText: newest.text, snapshot, timestampVersion: timestamp.signed.version }
    const targets = parseTargets(targetsText)
    return isSigned(root, 'targets', targets) ? { ...current, targets, targetsText } : this.#finishRoot(current, targets.signed.version + 1)
  }

  /** A new root was written, and the power failed before the timestamp: the targets that came with it were written before it. */
  #finishRoot(current: Omit<Current, 'targets' | 'targetsText'>, version: number): Current {
    const targetsText = this.#need(`${version}.targets.json`)
    const targets = parseTargets(targetsText)
    checkSigned(current.root, 'targets', targets)
    const trusted = { ...current, targets, targetsText }
    return { ...trusted, snapshot: this.#sign(trusted, current.snapshot.signed.version + 1) }
  }

  #need(name: string): string {
    const text = this.#files.read(name)
    if (text !== undefined) return text
    throw new TrustError('repository-damaged', `Cannot find ${name} of the TUF repository`, {
      hint: 'Restore the folder tuf/ from the backup',
    })
  }

  #ready(): Current {
    if (this.#current) return this.#current
    throw new DunlinError('trust-not-ready', 'Cannot do this before the hub knows whose functions to trust', {
      retryable: true,
      hint: 'Send root and targets with POST /v1/tuf/init; "dunlin up" does it',
    })
  }
}

/**
 * The publisher's half of TUF: it holds the root and the targets key (`root.key`, `targets.key`, 0600) and signs what devices may
 * run. The hub never sees these keys, so a stolen hub signs nothing.
 *
 * The newest targets version it has signed is kept beside the keys: a hub that hands back older targets is found out.
 */
import { Key, Metadata, MetadataKind, Root, TargetFile, Targets } from '@tufjs/models'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { targetPath } from '../../config/wire.ts'
import { makePrivateFolder, readFileIfThere, writeDurably } from '../../runtime/base/durable-file.ts'
import { TrustError } from '../../runtime/base/errors.ts'
import { openSigningKey, type SigningKey } from '../../runtime/base/signing-key.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** A root is renewed by hand; ten years outlive the device in the field. */
const ROOT_LIFETIME_MS = 3650 * DAY_MS
/** Targets are signed again with each publication. */
const TARGETS_LIFETIME_MS = 730 * DAY_MS
const SPEC_VERSION = '1.0.31'

/** What GET /v1/tuf/online-keys answers. */
export interface OnlineKeys {
  readonly snapshot: OnlineKey
  readonly timestamp: OnlineKey
}

export type OnlineKey = { readonly keyid: string } & Parameters<typeof Key.fromJSON>[1]

export interface Addition {
  readonly name: string
  readonly version: number
  /** The manifest's exact text: its bytes are what is signed. */
  readonly manifest: string
}

export class Publisher {
  readonly #folder: string
  readonly #rootKey: SigningKey
  readonly #targetsKey: SigningKey

  private constructor(folder: string) {
    this.#folder = folder
    this.#rootKey = openSigningKey(join(folder, 'root.key'))
    this.#targetsKey = openSigningKey(join(folder, 'targets.key'))
  }

  /** Makes the keys when there are none. */
  static open(folder: string): Publisher {
    makePrivateFolder(folder)
    return new Publisher(folder)
  }

  /**
   * A root that lets this hub sign what is current, and empty targets to begin with, for POST /v1/tuf/init. The same again when they
   * were made before. For a hub with other keys (its data was lost, or it is another hub) the next root and the next targets.
   */
  initialise(online: OnlineKeys): { root: string; targets: string } {
    const before = readFileIfThere(this.#file('root.json'))
    const targets = readFileIfThere(this.#file('first.targets.json'))
    if (before !== undefined && targets !== undefined && namesKeys(before, online)) return { root: before, targets }
    const rootVersion = before === undefined ? 1 : parseRoot(before).signed.version + 1
    const targetsVersion = before === undefined ? 1 : this.#newestVersion() + 1
    // The root last: without it, both are made anew.
    const first = this.#write('first.targets.json', this.#signTargets(targetsVersion, []))
    return { root: this.#write('root.json', this.#makeRoot(rootVersion, online)), targets: first }
  }

  /**
   * Targets with one more function version, for POST /v1/functions. `current` is the text of the hub's newest targets; it is
   * believed only if this publisher signed it and has signed none after it that the hub had confirmed.
   */
  add(current: string, { name, version, manifest }: Addition): string {
    const previous = this.#verify(current)
    const path = targetPath(name, version)
    const bytes = Buffer.from(manifest)
    const target = new TargetFile({ path, length: bytes.length, hashes: { sha256: createHash('sha256').update(bytes).digest('hex') } })
    const before = previous.targets[path]
    if (before && !before.equals(target))
      throw new TrustError('target-changed', `Cannot sign ${path}: another manifest was published under it`)
    return this.#signTargets(previous.version + 1, [...Object.values(previous.targets).filter((other) => other.path !== path), target])
  }

  /** Targets without this function version: devices no longer trust it. */
  withdraw(current: string, name: string, version: number): string {
    const previous = this.#verify(current)
    const path = targetPath(name, version)
    return this.#signTargets(
      previous.version + 1,
      Object.values(previous.targets).filter((target) => target.path !== path),
    )
  }

  /** Call after the hub has taken targets: from now on older ones are refused. */
  confirm(targets: string): void {
    this.#write('newest.targets.json', targets)
  }

  #verify(text: string): Targets {
    const targets = parseTargets(text)
    try {
      this.#targetsKey.key.verifySignature(targets)
    } catch (cause) {
      throw new TrustError('targets-foreign', 'Cannot sign on top of targets that this publisher did not sign', {
        cause,
        hint: 'Is this the publisher folder of this hub?',
      })
    }
    const newestVersion = this.#newestVersion()
    if (targets.signed.version < newestVersion) {
      throw new TrustError(
        'targets-rolled-back',
        `Cannot sign on top of targets ${targets.signed.version}: ${newestVersion} was published`,
        {
          hint: 'The hub was restored from a backup or is not to be trusted',
        },
      )
    }
    return targets.signed
  }

  /** Of the targets that a hub has confirmed, or that were made for one to begin with. */
  #newestVersion(): number {
    const texts = ['first.targets.json', 'newest.targets.json'].map((name) => readFileIfThere(this.#file(name)))
    return Math.max(1, ...texts.map((text) => (text === undefined ? 0 : parseTargets(text).signed.version)))
  }

  #makeRoot(version: number, online: OnlineKeys): string {
    const root = new Root({ version, specVersion: SPEC_VERSION, expires: expiresIn(ROOT_LIFETIME_MS), consistentSnapshot: true })
    root.addKey(this.#rootKey.key, 'root')
    root.addKey(this.#targetsKey.key, 'targets')
    for (const role of ['snapshot', 'timestamp'] as const) {
      const { keyid, ...key } = online[role]
      root.addKey(Key.fromJSON(keyid, key), role)
    }
    return this.#sign(new Metadata(root), this.#rootKey)
  }

  #signTargets(version: number, files: readonly TargetFile[]): string {
    const targets = new Targets({ version, specVersion: SPEC_VERSION, expires: expiresIn(TARGETS_LIFETIME_MS) })
    for (const file of files) targets.addTarget(file)
    return this.#sign(new Metadata(targets), this.#targetsKey)
  }

  #sign(metadata: Metadata<Root> | Metadata<Targets>, key: SigningKey): string {
    metadata.sign((data) => key.sign(data))
    return JSON.stringify(metadata.toJSON())
  }

  #write(name: string, text: string): string {
    writeDurably(this.#file(name), text)
    return text
  }

  #file(name: string): string {
    return join(this.#folder, name)
  }
}

function parseTargets(text: string): Metadata<Targets> {
  return parse('targets', () => Metadata.fromJSON(MetadataKind.Targets, JSON.parse(text)))
}

function parseRoot(text: string): Metadata<Root> {
  return parse('root', () => Metadata.fromJSON(MetadataKind.Root, JSON.parse(text)))
}

function parse<T>(role: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new TrustError('metadata-invalid', `Cannot read the ${role} metadata`, { cause })
  }
}

function namesKeys(rootText: string, online: OnlineKeys): boolean {
  const { roles } = parseRoot(rootText).signed
  return (['snapshot', 'timestamp'] as const).every((role) => roles[role]?.keyIDs.includes(online[role].keyid))
}

function expiresIn(ms: number): string {
  return new Date(Date.now() + ms).toISOString().replace(/\.\d+Z$/, 'Z')
}

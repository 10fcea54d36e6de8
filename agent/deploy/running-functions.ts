/**
 * Which version of each function is committed on disk and which one the processor runs, and how to bring the two together.
 * Nothing here uses the network: it is what a device does at its start.
 */
import { PRODUCTION, readSlot, type Route } from '../../config/routes.ts'
import type { BundleManifest } from '../../config/wire.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { TrustError } from '../../runtime/base/errors.ts'
import type { DeploymentBook, FunctionEntry } from './deployment-book.ts'
import type { CurrentFunction } from './plan.ts'
import { isFinal } from './transitions.ts'
import type { StagedVersion, VersionStore } from './version-store.ts'

/** The processor, as deployments see it. `name` is a function's, or `function@alias`. */
export interface Activator {
  /** Starts the version in place of another of the same name. Resolves when its workers are ready; rejects with why they are not. */
  activate(name: string, version: number, directory: string, manifest: BundleManifest): Promise<void>
  /** Stops whatever version of it runs. A function stops with all its aliases. */
  deactivate(name: string): Promise<void>
  /** Who gets which events of a function; undefined: the hub does not say. */
  route(name: string, routes: readonly Route[] | undefined): Promise<void>
  /** Events of a function that wait for an alias that is not among these go to production; resolves with how many. */
  gather(name: string, aliases: ReadonlySet<string>): Promise<number>
}

export interface RunningFunctionsOptions {
  readonly book: DeploymentBook
  readonly versions: VersionStore
  readonly activator: Activator
  /** Something stands in the way of this function; it is tried again by plan. */
  readonly hinder: (name: string, error: unknown) => void
}

export class RunningFunctions {
  readonly #options: RunningFunctionsOptions
  readonly #committed = new Map<string, number>()
  readonly #active = new Map<string, number>()

  constructor(options: RunningFunctionsOptions) {
    this.#options = options
  }

  /** Reads what is committed and whole on disk, every file hashed again. A damaged version counts as not committed. */
  async load(): Promise<StagedVersion[]> {
    const { versions, hinder } = this.#options
    const found: StagedVersion[] = []
    for (const name of await versions.committed()) {
      const version = await versions.current(name)
      if (version === null) continue
      try {
        found.push(await versions.verify(name, version))
        this.#committed.set(name, version)
      } catch (error) {
        hinder(name, error)
      }
    }
    return found
  }

  get current(): CurrentFunction[] {
    const { book } = this.#options
    return this.#names.map((name) => ({
      name,
      committed: this.#committed.get(name) ?? null,
      active: this.#active.get(name) ?? null,
      deployment: book.entry(name).deployment,
    }))
  }

  async start({ name, version, directory, manifest }: StagedVersion): Promise<void> {
    this.#active.delete(name)
    await this.#options.activator.activate(name, version, directory, manifest)
    this.#active.set(name, version)
  }

  async startCommitted(name: string, version: number): Promise<void> {
    const release = await this.#options.versions.verify(name, version).catch((error: unknown) => {
      // Damaged since it was committed: the next plan deploys it again.
      if (error instanceof TrustError) this.#committed.delete(name)
      throw error
    })
    await this.start(release)
  }

  async stop(name: string): Promise<void> {
    await this.#options.activator.deactivate(name)
    if (readSlot(name).alias === PRODUCTION) for (const other of this.#aliasesOf(name)) this.#active.delete(other)
    this.#active.delete(name)
  }

  /** From here on the version is what a start of the agent runs. */
  async commit(name: string, version: number): Promise<void> {
    const { book, versions } = this.#options
    const old = this.#committed.get(name) ?? null
    if (old !== null && old !== version) {
      const entry = book.entry(name)
      await book.setEntry(name, { ...entry, previous: lastGood(entry, old, version), onWatch: version })
    }
    crashPoint('deploy:before-current')
    await versions.setCurrent(name, version)
    crashPoint('deploy:after-current')
    this.#committed.set(name, version)
  }

  /** An older version is what a start of the agent runs, from here on. */
  async goBack(name: string, version: number): Promise<void> {
    await this.#options.versions.setCurrent(name, version)
    crashPoint('rollback:after-current')
    this.#committed.set(name, version)
  }

  /** Only the committed version runs, if there is one, and other files go. */
  async backToCommitted(name: string): Promise<void> {
    const committed = this.#committed.get(name)
    if (committed === undefined) {
      if (this.#active.has(name)) await this.stop(name)
      await this.gather(readSlot(name).name)
    } else if (this.#active.get(name) !== committed) {
      // Not fatal here: the next plan has it as a step.
      await this.startCommitted(name, committed).catch((error: unknown) => this.#options.hinder(name, error))
    }
    await this.clean(name)
  }

  /** Keeps, of the function and each of its aliases, the committed version, the one before, and one that is on its way. */
  async clean(name: string): Promise<void> {
    crashPoint('deploy:before-cleaning')
    const { book, versions } = this.#options
    const fn = readSlot(name).name
    if (!(await versions.names()).includes(fn)) return
    const kept = this.#aliasesOf(fn).flatMap((other) => {
      const { deployment, previous } = book.entry(other)
      const underWay = other !== name && deployment && !isFinal(deployment.state) ? deployment.version : null
      return [this.#committed.get(other) ?? null, previous, underWay]
    })
    await versions.keepOnly(fn, kept)
  }

  async remove(name: string): Promise<void> {
    const { book, versions } = this.#options
    const { name: fn, alias } = readSlot(name)
    await this.stop(name)
    this.#committed.delete(name)
    if (alias === PRODUCTION) {
      await versions.remove(name)
      await book.setEntry(name, undefined)
    } else {
      crashPoint('alias:stopped')
      await versions.clearCurrent(name)
      crashPoint('alias:not-current')
      await book.setEntry(name, undefined)
      crashPoint('alias:forgotten')
      await this.gather(fn)
      await this.clean(name)
    }
  }

  /** Nothing waits for an alias that neither runs nor will run again as it is. */
  async gather(fn: string): Promise<number> {
    const isThere = (name: string) => {
      const { deployment } = this.#options.book.entry(name)
      return this.#committed.has(name) || this.#active.has(name) || (deployment !== null && !isFinal(deployment.state))
    }
    const there = this.#aliasesOf(fn).filter(isThere)
    return this.#options.activator.gather(fn, new Set(there.map((name) => readSlot(name).alias)))
  }

  /** Names of functions that are known here. */
  get functions(): string[] {
    return [...new Set(this.#names.map((name) => readSlot(name).name))]
  }

  get #names(): string[] {
    return [...new Set([...this.#options.book.names, ...this.#committed.keys(), ...this.#active.keys()])]
  }

  /** A function and its aliases, by name. */
  #aliasesOf(fn: string): string[] {
    return this.#names.filter((name) => readSlot(name).name === fn)
  }
}

/** What to go back to from `next`: not to a version that has not proven itself, as long as there is a better one. */
function lastGood({ previous, onWatch }: FunctionEntry, old: number, next: number): number {
  const isProven = onWatch !== old && onWatch !== next
  return isProven || previous === null || previous === next ? old : previous
}

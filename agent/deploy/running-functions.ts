/**
 * Which version of each function is committed on disk and which one the processor runs, and how to bring the two together.
 * Nothing here uses the network: it is what a device does at its start.
 */
import type { BundleManifest } from '../../config/wire.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { TrustError } from '../../runtime/base/errors.ts'
import type { DeploymentBook } from './deployment-book.ts'
import type { CurrentFunction } from './plan.ts'
import type { StagedVersion, VersionStore } from './version-store.ts'

/** The processor, as deployments see it. */
export interface Activator {
  /** Starts the version, beside or in place of another of the same function. Resolves when its workers are ready; rejects with why they are not. */
  activate(name: string, version: number, directory: string, manifest: BundleManifest): Promise<void>
  /** Stops whatever version of the function runs. */
  deactivate(name: string): Promise<void>
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
    for (const name of await versions.names()) {
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
    const names = new Set([...book.names, ...this.#committed.keys(), ...this.#active.keys()])
    return [...names].map((name) => ({
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
    this.#active.delete(name)
  }

  /** From here on the version is what a start of the agent runs. */
  async commit(name: string, version: number): Promise<void> {
    const { book, versions } = this.#options
    const old = this.#committed.get(name) ?? null
    if (old !== null && old !== version) await book.setEntry(name, { ...book.entry(name), previous: old })
    crashPoint('deploy:before-current')
    await versions.setCurrent(name, version)
    crashPoint('deploy:after-current')
    this.#committed.set(name, version)
  }

  /** Only the committed version runs, if there is one, and other files go. */
  async backToCommitted(name: string): Promise<void> {
    const committed = this.#committed.get(name)
    if (committed === undefined) {
      if (this.#active.has(name)) await this.stop(name)
    } else if (this.#active.get(name) !== committed) {
      // Not fatal here: the next plan has it as a step.
      await this.startCommitted(name, committed).catch((error: unknown) => this.#options.hinder(name, error))
    }
    await this.clean(name)
  }

  /** Keeps the committed version and the one before. */
  async clean(name: string): Promise<void> {
    crashPoint('deploy:before-cleaning')
    const { book, versions } = this.#options
    if (!(await versions.names()).includes(name)) return
    await versions.keepOnly(name, [this.#committed.get(name) ?? null, book.entry(name).previous])
  }

  async remove(name: string): Promise<void> {
    const { book, versions } = this.#options
    await this.stop(name)
    this.#committed.delete(name)
    await versions.remove(name)
    await book.setEntry(name, undefined)
  }
}

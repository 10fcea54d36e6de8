/**
 * Brings the device to what the hub desires: plan, run the steps, read again, until the plan is empty. One thing at a time.
 *
 * Of a version only its own faults end it: not signed, changed content, a start that fails, a probation that is not survived.
 * Then the old version runs again, and this one is not tried until another was desired. A hub that is away, a full disk or metadata
 * that cannot be trusted now are nobody's version's fault: they are tried again with full jitter, and reported meanwhile.
 */
import type { BundleManifest, DeploymentState, Desired, Reported } from '../../config/wire.ts'
import { type BackoffOptions, fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { describeError, DunlinError, ResourceError, TrustError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { HubError } from '../link/hub-https.ts'
import type { BlobCache } from './blob-cache.ts'
import type { Deployment, DeploymentBook } from './deployment-book.ts'
import { readManifest } from './manifest.ts'
import { type CurrentFunction, plan, type Step } from './plan.ts'
import { isFinal, resume, TRANSITIONS, TRANSITIONS_MAX, type WorkingState } from './transitions.ts'
import type { TufClient } from './tuf-client.ts'
import type { StagedVersion, VersionStore } from './version-store.ts'

/** The processor, as deployments see it. */
export interface Activator {
  /** Starts the version, beside or in place of another of the same function. Resolves when its workers are ready; rejects with why they are not. */
  activate(name: string, version: number, directory: string, manifest: BundleManifest): Promise<void>
  /** Stops whatever version of the function runs. */
  deactivate(name: string): Promise<void>
}

export interface DeployerOptions {
  readonly book: DeploymentBook
  readonly versions: VersionStore
  readonly blobs: Pick<BlobCache, 'open' | 'fetch' | 'isWhole' | 'pathOf' | 'keepOnly'>
  readonly manifests: Pick<TufClient, 'fetchManifest'>
  readonly activator: Activator
  readonly logger: Logger
  /** What `functions` tells is different now. */
  readonly onChange?: () => void
  /** How long a new version must stay ready before it is committed. */
  readonly probationMs?: number
  readonly backoff?: BackoffOptions
  /** Called once, by close: lets go of what was opened for the deployer. */
  readonly onClose?: () => void
}

const PROBATION_MS = 3000
const BACKOFF: BackoffOptions = { firstMs: 1000, maxMs: 60_000 }

interface Work {
  readonly name: string
  readonly version: number
  readonly interrupt: AbortController
  /** Rejects when the processor says that the version stopped being ready. */
  readonly failed: PromiseWithResolvers<never>
}

export class Deployer {
  readonly #options: DeployerOptions
  readonly #stopping = new AbortController()
  readonly #committed = new Map<string, number>()
  readonly #active = new Map<string, number>()
  /** What stands in the way now, by function; goes away by itself or by the next desired state. */
  readonly #problems = new Map<string, string>()
  /** Functions whose deployment is being tried again: their repeated states do not count. */
  readonly #retried = new Set<string>()
  readonly #manifests = new Map<string, string>()
  #work: Work | undefined
  #pause = new AbortController()
  #again = false
  #running: Promise<void> | undefined

  constructor(options: DeployerOptions) {
    this.#options = options
  }

  /** Starts what is committed, from disk alone. A function that does not start is tried again once `start` was called. */
  async open(): Promise<void> {
    const { book, versions, blobs } = this.#options
    await book.open()
    await versions.open()
    await blobs.open()
    const releases = await this.committedReleases()
    for (const release of releases) this.#committed.set(release.name, release.version)
    for (const name of book.names) await this.#finishInterrupted(name)
    const disabled = new Set(book.desired?.functions.filter((fn) => fn.disabled).map(({ name }) => name))
    for (const release of releases) {
      if (!disabled.has(release.name)) await this.#start(release).catch((error: unknown) => this.#hinder(release.name, error))
    }
  }

  /** What is committed and whole on disk, every file hashed again. A damaged version is logged, and left out. */
  async committedReleases(): Promise<StagedVersion[]> {
    const { versions } = this.#options
    const found: StagedVersion[] = []
    for (const name of await versions.names()) {
      const version = await versions.current(name)
      if (version === null) continue
      const release = await versions.verify(name, version).catch((error: unknown) => this.#hinder(name, error))
      if (release) found.push(release)
    }
    return found
  }

  /** Goes on with what the last desired state asked for; returns at once. */
  start(): void {
    this.#wake()
  }

  /** Resolves when the desired state is on disk; the work follows by itself. An older revision than the last is ignored. */
  async apply(desired: Desired): Promise<void> {
    const { book, logger } = this.#options
    if (book.desired && desired.revision < book.desired.revision) {
      logger.warn({ revision: desired.revision, known: book.desired.revision }, 'the hub desires an older state than before; it is ignored')
      return
    }
    if (desired.revision !== book.desired?.revision) await book.setDesired(desired)
    const work = this.#work
    const isWanted =
      work && desired.functions.some(({ name, version, disabled }) => name === work.name && version === work.version && !disabled)
    if (work && !isWanted)
      work.interrupt.abort(new ResourceError('deployment-superseded', `${work.name} version ${work.version} is not desired any more`))
    this.#wake()
  }

  /** The processor says that a version stopped being ready. Ends its probation; later it is the processor's to restart workers. */
  versionFailed(name: string, version: number, error: Error): void {
    if (this.#work?.name === name && this.#work.version === version) this.#work.failed.reject(error)
  }

  /** Resolves when everything is as desired, and cleaned up. */
  async settled(): Promise<void> {
    while (this.#running) await this.#running
  }

  /** The last desired state that was taken. */
  get revision(): number {
    return this.#options.book.desired?.revision ?? 0
  }

  /** For Reported: the committed version and, beside it, a deployment that is under way or was rolled back. */
  get functions(): Reported['functions'] {
    return this.#current().flatMap(({ name, committed, active, deployment }) => {
      const problem = this.#problems.get(name)
      const rows: Reported['functions'] = []
      const isCommitted = committed !== null
      if (isCommitted) rows.push({ name, version: committed, state: 'committed', ready: active === committed })
      if (deployment && deployment.version !== committed) {
        const { version, state } = deployment
        const error = deployment.error ?? problem
        rows.push({ name, version, state, ready: active === version, ...(error && { error }) })
      } else if (problem && rows[0]) rows[0] = { ...rows[0], error: problem }
      return rows
    })
  }

  /** Stops working; what is under way goes on at the next start. Functions keep running: they are the processor's. */
  async close(): Promise<void> {
    this.#stopping.abort(new ResourceError('deployer-stopped', 'Deployments were stopped'))
    this.#pause.abort()
    this.#work?.interrupt.abort(this.#stopping.signal.reason)
    await this.#running
    this.#options.onClose?.()
  }

  #current(): CurrentFunction[] {
    const { book } = this.#options
    const names = new Set([...book.names, ...this.#committed.keys(), ...this.#active.keys()])
    return [...names].map((name) => ({
      name,
      committed: this.#committed.get(name) ?? null,
      active: this.#active.get(name) ?? null,
      deployment: book.entry(name).deployment,
    }))
  }

  #wake(): void {
    if (this.#stopping.signal.aborted) return
    this.#again = true
    this.#pause.abort()
    this.#running ??= this.#converge().finally(() => {
      this.#running = undefined
      if (this.#again) this.#wake()
    })
  }

  async #converge(): Promise<void> {
    const { book, logger } = this.#options
    let failures = 0
    let before = ''
    while (!this.#stopping.signal.aborted) {
      this.#again = false
      this.#pause = new AbortController()
      try {
        const steps = book.desired ? plan(book.desired.functions, this.#current()) : []
        const text = JSON.stringify(steps)
        const later = await this.#runAll(steps)
        if (later === undefined && steps.length === 0) return await this.#clean()
        // Steps that changed nothing wait like those that failed.
        failures = later === undefined && text !== before ? 0 : failures + 1
        before = text
        if (failures > 0) await this.#wait(failures, later ?? 0)
      } catch (error) {
        logger.error({ error: describeError(error) }, 'deployments cannot go on; they are tried again')
        await this.#wait(++failures, 0)
      }
      // A new desired state, or the hub again, makes past failures mean nothing.
      if (this.#again) [failures, before] = [0, '']
    }
  }

  async #wait(failures: number, atLeastMs: number): Promise<void> {
    if (this.#again) return
    const ms = Math.max(atLeastMs, fullJitterMs(failures, this.#options.backoff ?? BACKOFF))
    await sleep(ms, this.#pause.signal).catch(() => {})
  }

  /** Undefined: all done. A number: some are to be tried again, and not before so many milliseconds. */
  async #runAll(steps: readonly Step[]): Promise<number | undefined> {
    let later: number | undefined
    for (const step of steps) {
      if (this.#again || this.#stopping.signal.aborted) break
      try {
        await this.#run(step)
        this.#problems.delete(step.name)
      } catch (error) {
        if (this.#stopping.signal.aborted) break
        if (error instanceof DunlinError && error.code === 'deployment-superseded') break
        this.#hinder(step.name, error)
        later = Math.max(later ?? 0, error instanceof HubError ? (error.retryAfterMs ?? 0) : 0)
      }
      this.#options.onChange?.()
    }
    return later
  }

  async #run(step: Step): Promise<void> {
    const { activator, book, versions } = this.#options
    const { name } = step
    switch (step.do) {
      case 'deploy':
        return this.#deploy(name, step.version)
      case 'activate':
        return this.#activateCommitted(name, step.version)
      case 'forget':
        await book.setEntry(name, { ...book.entry(name), deployment: null })
        return this.#backToCommitted(name)
      case 'disable':
        await activator.deactivate(name)
        this.#active.delete(name)
        return
      case 'remove':
        await activator.deactivate(name)
        this.#active.delete(name)
        this.#committed.delete(name)
        await versions.remove(name)
        return book.setEntry(name, undefined)
      default:
        step satisfies never
    }
  }

  async #deploy(name: string, version: number): Promise<void> {
    const work: Work = { name, version, interrupt: new AbortController(), failed: Promise.withResolvers<never>() }
    work.failed.promise.catch(() => {})
    this.#work = work
    try {
      let state = await this.#begin(name, version)
      while (!isFinal(state)) state = await this.#advance(work, state)
      await (state === 'committed' ? this.#keepTwo(name) : this.#backToCommitted(name))
    } finally {
      this.#work = undefined
    }
  }

  /** The first state of this try: where an interrupted deployment goes on, or `fetching`. */
  async #begin(name: string, version: number): Promise<DeploymentState> {
    const { deployment } = this.#options.book.entry(name)
    const isInterrupted = deployment?.version === version && !isFinal(deployment.state)
    if (!isInterrupted) return this.#enter(name, { version, state: 'fetching', transitions: 1 })
    const state = resume(deployment.state as WorkingState, await this.#facts(name, version))
    if (state === deployment.state && this.#retried.has(name)) return state
    return this.#enter(name, this.#counted(name, deployment, state))
  }

  async #advance(work: Work, state: WorkingState): Promise<DeploymentState> {
    const { name, interrupt } = work
    const { deployment } = this.#options.book.entry(name)
    if (!deployment) throw new DunlinError('assertion-failed', `${name} has no deployment in ${state}`)
    try {
      await this.#act[state](work)
      interrupt.signal.throwIfAborted()
    } catch (error) {
      if (interrupt.signal.aborted) throw interrupt.signal.reason
      if (isVersionFault(error, state)) return this.#rollBack(name, deployment, state, error)
      this.#retried.add(name)
      throw error
    }
    return this.#enter(name, this.#counted(name, deployment, TRANSITIONS[state].done))
  }

  /** What each state does. Each may be done again from the start. */
  readonly #act: Record<WorkingState, (work: Work) => Promise<void>> = {
    fetching: async ({ name, version, interrupt: { signal } }) => {
      const { manifests, blobs } = this.#options
      const text = await manifests.fetchManifest(name, version, signal)
      for (const file of readManifest(text, name, version).files) await blobs.fetch(file, signal)
      this.#manifests.set(name, text)
      crashPoint('deploy:after-fetching')
    },
    verifying: async ({ name, version }) => {
      for (const { sha256 } of readManifest(this.#manifests.get(name)!, name, version).files) {
        if (!(await this.#options.blobs.isWhole(sha256)))
          throw new ResourceError('blob-lost', `File ${sha256} is damaged on this disk`, { retryable: true })
      }
      crashPoint('deploy:after-verifying')
    },
    staging: async ({ name, version }) => {
      const { versions, blobs } = this.#options
      await versions.stage(name, version, this.#manifests.get(name)!, (sha256) => blobs.pathOf(sha256))
      this.#manifests.delete(name)
    },
    activating: async ({ name, version }) => {
      await this.#start(await this.#options.versions.verify(name, version))
      crashPoint('deploy:after-activating')
    },
    probation: async ({ name, version, interrupt: { signal }, failed }) => {
      const passed = new AbortController()
      try {
        await Promise.race([sleep(this.#options.probationMs ?? PROBATION_MS, AbortSignal.any([signal, passed.signal])), failed.promise])
      } finally {
        passed.abort()
      }
      crashPoint('deploy:after-probation')
      await this.#commit(name, version)
    },
  }

  async #commit(name: string, version: number): Promise<void> {
    const { book, versions } = this.#options
    const old = this.#committed.get(name) ?? null
    if (old !== null && old !== version) await book.setEntry(name, { ...book.entry(name), previous: old })
    crashPoint('deploy:before-current')
    await versions.setCurrent(name, version)
    crashPoint('deploy:after-current')
    this.#committed.set(name, version)
  }

  async #rollBack(name: string, deployment: Deployment, from: WorkingState, error: unknown): Promise<DeploymentState> {
    const text = describeError(error)
    this.#options.logger.error(
      { function: name, version: deployment.version, from, error: text },
      `deployment of ${name} failed in ${from}; it is rolled back`,
    )
    return this.#enter(name, { ...this.#counted(name, deployment, 'rolledback'), error: text })
  }

  /** Only the committed version runs, and only its files and those of the one before stay. */
  async #backToCommitted(name: string): Promise<void> {
    const committed = this.#committed.get(name)
    if (committed === undefined) {
      if (this.#active.has(name)) await this.#options.activator.deactivate(name)
      this.#active.delete(name)
    } else if (this.#active.get(name) !== committed) {
      // Not fatal here: the next plan has it as a step.
      await this.#activateCommitted(name, committed).catch((error: unknown) => this.#hinder(name, error))
    }
    await this.#keepTwo(name)
  }

  async #activateCommitted(name: string, version: number): Promise<void> {
    const release = await this.#options.versions.verify(name, version).catch((error: unknown) => {
      // Damaged since it was committed: the next plan deploys it again.
      if (error instanceof TrustError) this.#committed.delete(name)
      throw error
    })
    await this.#start(release)
  }

  async #start({ name, version, directory, manifest }: StagedVersion): Promise<void> {
    this.#active.delete(name)
    await this.#options.activator.activate(name, version, directory, manifest)
    this.#active.set(name, version)
  }

  /** After a restart: a deployment that was cut off behind its last act is committed; the others go on by plan. */
  async #finishInterrupted(name: string): Promise<void> {
    const { deployment } = this.#options.book.entry(name)
    if (!deployment || isFinal(deployment.state)) return
    const state = resume(deployment.state, await this.#facts(name, deployment.version))
    if (state === 'committed') await this.#enter(name, this.#counted(name, deployment, state))
  }

  async #facts(name: string, version: number): Promise<{ isCurrent: boolean; isStaged: boolean }> {
    const { versions } = this.#options
    const isStaged = await versions.verify(name, version).then(
      () => true,
      () => false,
    )
    return { isCurrent: (await versions.current(name)) === version, isStaged }
  }

  /** The record of the next state; a version that needs too many of them is given up. */
  #counted(name: string, deployment: Deployment, state: DeploymentState): Deployment {
    if (state === 'activating') this.#retried.delete(name)
    const transitions = deployment.transitions + (this.#retried.has(name) ? 0 : 1)
    if (transitions <= TRANSITIONS_MAX || isFinal(state)) return { version: deployment.version, state, transitions }
    return {
      version: deployment.version,
      state: 'rolledback',
      transitions,
      error: `Gave up after ${TRANSITIONS_MAX} states: the agent ended in the middle again and again`,
    }
  }

  /** On disk before anything is done about it. */
  async #enter(name: string, deployment: Deployment): Promise<DeploymentState> {
    const { book, logger, onChange } = this.#options
    const entry = book.entry(name)
    const from = entry.deployment?.version === deployment.version ? entry.deployment.state : 'none'
    await book.setEntry(name, { ...entry, deployment })
    if (isFinal(deployment.state)) this.#retried.delete(name)
    logger.info(
      { function: name, version: deployment.version, from, to: deployment.state },
      `deployment ${name} ${deployment.version}: ${from} -> ${deployment.state}`,
    )
    onChange?.()
    return deployment.state
  }

  async #keepTwo(name: string): Promise<void> {
    crashPoint('deploy:before-cleaning')
    const { book, versions } = this.#options
    if ((await versions.names()).includes(name))
      await versions.keepOnly(name, [this.#committed.get(name) ?? null, book.entry(name).previous])
  }

  /** When all is settled: files that no version on disk needs go, and parts of downloads with them. */
  async #clean(): Promise<void> {
    await this.#options.blobs.keepOnly(await this.#options.versions.digests())
  }

  #hinder(name: string, error: unknown): undefined {
    const text = describeError(error)
    if (this.#problems.get(name) !== text) this.#options.logger.warn({ function: name, error: text }, `${name} is not as desired yet`)
    this.#problems.set(name, text)
    this.#options.onChange?.()
  }
}

/** Whether the version is to blame, and trying it again would be no use. */
function isVersionFault(error: unknown, state: WorkingState): boolean {
  if (state === 'activating' || state === 'probation') return true
  return error instanceof TrustError && !error.retryable
}

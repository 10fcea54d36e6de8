/**
 * Brings the device to what the hub desires: plan, run the steps, read again, until the plan is empty. One thing at a time.
 *
 * A version that fails by its own fault is rolled back and not tried until another was desired. A hub that is away, a full disk or
 * metadata that cannot be trusted now are nobody's version's fault: they are tried again with full jitter, and reported meanwhile.
 */
import { PRODUCTION, readSlot } from '../../config/routes.ts'
import type { Desired, Reported } from '../../config/wire.ts'
import { type BackoffOptions, fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { codeOf, describeError, ResourceError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { HubError } from '../link/hub-https.ts'
import type { BlobCache } from './blob-cache.ts'
import type { DeploymentBook } from './deployment-book.ts'
import { DeploymentRun } from './deployment-run.ts'
import { plan, type Step, wantedVersions } from './plan.ts'
import { type Activator, RunningFunctions } from './running-functions.ts'
import { ON_WATCH } from './transitions.ts'
import type { TufClient } from './tuf-client.ts'
import { VersionWatch } from './version-watch.ts'
import type { StagedVersion, VersionStore } from './version-store.ts'
import type { WatchRule } from './watch-rule.ts'

export type { Activator } from './running-functions.ts'

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
  /** When a committed version is in a crash loop, and when it has proven itself. */
  readonly watchRule?: WatchRule
  /** Called once, by close: lets go of what was opened for the deployer. */
  readonly onClose?: () => void
}

const PROBATION_MS = 3000
const BACKOFF: BackoffOptions = { firstMs: 1000, maxMs: 60_000 }

const SUPERSEDED = 'deployment-superseded'
const START_TIMEOUT = 'worker-start-timeout'

export class Deployer {
  readonly #options: DeployerOptions
  readonly #stopping = new AbortController()
  readonly #functions: RunningFunctions
  readonly #run: DeploymentRun
  readonly #watch: VersionWatch
  /** Committed versions in a crash loop, by function, with what ended them last. */
  readonly #condemned = new Map<string, { readonly version: number; readonly error: Error }>()
  /** What stands in the way now, by function; goes away by itself or by the next desired state. */
  readonly #problems = new Map<string, string>()
  #pause = new AbortController()
  #again = false
  #running: Promise<void> | undefined

  constructor(options: DeployerOptions) {
    this.#options = options
    const hinder = (name: string, error: unknown) => this.#hinder(name, error)
    this.#functions = new RunningFunctions({ ...options, hinder })
    this.#run = new DeploymentRun({
      ...options,
      functions: this.#functions,
      probationMs: options.probationMs ?? PROBATION_MS,
      onChange: () => options.onChange?.(),
    })
    this.#watch = new VersionWatch({ rule: options.watchRule, onProven: (name, version) => void this.#proven(name, version) })
  }

  /** Starts what is committed, from disk alone. A function that does not start is tried again once `start` was called. */
  async open(): Promise<void> {
    const { book, versions, blobs } = this.#options
    await book.open()
    await versions.open()
    await blobs.open()
    for (const name of book.names) await this.#run.finishRollback(name)
    const releases = await this.committedReleases()
    for (const name of book.names) await this.#run.finishInterrupted(name)
    await this.#route()
    const disabled = new Set(
      wantedVersions(book.desired?.functions ?? [])
        .filter((wanted) => wanted.disabled)
        .map(({ name }) => name),
    )
    for (const release of releases) {
      if (disabled.has(release.name)) continue
      this.#watchOver(release.name, release.version)
      await this.#functions.start(release).catch((error: unknown) => this.#hinder(release.name, error))
    }
  }

  /** What is committed and whole on disk, every file hashed again. A damaged version is logged, and left out. */
  committedReleases(): Promise<StagedVersion[]> {
    return this.#functions.load()
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
    await this.#route()
    const target = this.#run.target
    const isWanted = wantedVersions(desired.functions).some(
      (fn) => fn.name === target?.name && fn.version === target.version && !fn.disabled,
    )
    if (target && !isWanted) {
      this.#run.interrupt(new ResourceError(SUPERSEDED, `${target.name} version ${target.version} is not desired any more`))
    }
    this.#wake()
  }

  /** The processor says that a version of a function, or of function@alias, stopped being ready. Ends its probation. */
  versionFailed(name: string, version: number, error: Error): void {
    const target = this.#run.target
    if (target?.name === name && target.version === version) this.#run.failProbation(error)
  }

  /**
   * A worker of a version ended by itself, or was not ready in time, and no single event is to blame. The processor starts it again;
   * a version that was committed lately and does so again and again gives its place back, before anything else is done.
   */
  workerEnded(name: string, version: number, worker: number, error: Error): void {
    const atMs = performance.now()
    const event = codeOf(error) === START_TIMEOUT ? ({ what: 'not-ready', atMs } as const) : ({ what: 'ended', atMs, worker } as const)
    if (this.#watch.observe(name, version, event) !== 'crash-loop') return
    this.#condemned.set(name, { version, error })
    this.#run.interrupt(new ResourceError(SUPERSEDED, `${name} version ${version} is rolled back first`))
    this.#wake()
  }

  /** What waits for aliases that are no more goes to production; resolves with how much it was. */
  async gather(): Promise<number> {
    let events = 0
    for (const name of this.#functions.functions) events += await this.#functions.gather(name)
    return events
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
    return this.#functions.current.flatMap(({ name: slot, committed, active, deployment }) => {
      const problem = this.#problems.get(slot)
      const { name, alias } = readSlot(slot)
      const whose = alias === PRODUCTION ? { name } : { name, alias }
      const rows: Reported['functions'] = []
      const isCommitted = committed !== null
      if (isCommitted) rows.push({ ...whose, version: committed, state: 'committed', ready: active === committed })
      if (deployment && deployment.version !== committed) {
        const { version, state } = deployment
        const error = deployment.error ?? problem
        rows.push({ ...whose, version, state, ready: active === version, ...(error && { error }) })
      } else if (problem && rows[0]) rows[0] = { ...rows[0], error: problem }
      return rows
    })
  }

  /** Stops working; what is under way goes on at the next start. Functions keep running: they are the processor's. */
  async close(): Promise<void> {
    this.#watch.close()
    this.#stopping.abort(new ResourceError('deployer-stopped', 'Deployments were stopped'))
    this.#pause.abort()
    this.#run.interrupt(this.#stopping.signal.reason as Error)
    await this.#running
    this.#options.onClose?.()
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
        await this.#rollBackCondemned()
        const steps = book.desired ? plan(book.desired.functions, this.#functions.current) : []
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
        await this.#take(step)
        this.#problems.delete(step.name)
      } catch (error) {
        if (this.#stopping.signal.aborted) break
        if (codeOf(error) === SUPERSEDED) break
        this.#hinder(step.name, error)
        later = Math.max(later ?? 0, error instanceof HubError ? (error.retryAfterMs ?? 0) : 0)
      }
      this.#options.onChange?.()
    }
    return later
  }

  async #take(step: Step): Promise<void> {
    const { book } = this.#options
    const { name } = step
    switch (step.do) {
      case 'deploy': {
        const state = await this.#run.run(name, step.version)
        if (state !== 'committed') return this.#functions.backToCommitted(name)
        this.#watchOver(name, step.version)
        return this.#functions.clean(name)
      }
      case 'activate':
        return this.#functions.startCommitted(name, step.version)
      case 'forget':
        await book.setEntry(name, { ...book.entry(name), deployment: null })
        return this.#functions.backToCommitted(name)
      case 'disable':
        return this.#functions.stop(name)
      case 'remove':
        return this.#functions.remove(name)
      default:
        step satisfies never
    }
  }

  async #rollBackCondemned(): Promise<void> {
    for (const [name, { version, error }] of this.#condemned) {
      await this.#run.rollBack(name, version, error)
      this.#condemned.delete(name)
      this.#watch.stop(name)
      this.#options.onChange?.()
    }
  }

  /** Only where there is something to go back to. */
  #watchOver(name: string, version: number): void {
    if (this.#options.book.entry(name).onWatch === version) this.#watch.begin(name, version)
    else this.#watch.stop(name)
  }

  async #proven(name: string, version: number): Promise<void> {
    const { book, logger } = this.#options
    const { onWatch, ...entry } = book.entry(name)
    if (onWatch !== version) return
    logger.info({ function: name, version, to: ON_WATCH.proven }, `${name} version ${version} has proven itself`)
    await book.setEntry(name, entry).catch((error: unknown) => {
      logger.warn(
        { function: name, error: describeError(error) },
        'cannot note that a version has proven itself; it is watched again after a restart',
      )
    })
  }

  /** Routes count at once: one to an alias that does not run yet is passed over until it does. */
  async #route(): Promise<void> {
    const { book, activator } = this.#options
    const routes = new Map(book.desired?.functions.map((fn) => [fn.name, fn.routes]))
    for (const name of new Set([...this.#functions.functions, ...routes.keys()])) {
      await activator.route(name, routes.get(name)).catch((error: unknown) => {
        this.#options.logger.error({ function: name, error: describeError(error) }, 'the routes of a function do not count yet')
      })
    }
  }

  /** When all is settled: nothing waits for an alias that is no more; files that no version on disk needs go, and parts of downloads with them. */
  async #clean(): Promise<void> {
    await this.gather()
    await this.#options.blobs.keepOnly(await this.#options.versions.digests())
  }

  #hinder(name: string, error: unknown): void {
    const text = describeError(error)
    if (this.#problems.get(name) !== text) this.#options.logger.warn({ function: name, error: text }, `${name} is not as desired yet`)
    this.#problems.set(name, text)
    this.#options.onChange?.()
  }
}

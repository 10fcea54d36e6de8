/**
 * Takes one version of one function through the states of transitions.ts. Each next state is on disk before its work begins.
 * Of a version only its own faults end it; anything else is thrown, for the same deployment to be tried again later.
 */
import { readSlot } from '../../config/routes.ts'
import type { DeploymentState } from '../../config/wire.ts'
import { sleep } from '../../runtime/base/backoff.ts'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { describeError, DunlinError, ResourceError, TrustError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { BlobCache } from './blob-cache.ts'
import type { Deployment, DeploymentBook } from './deployment-book.ts'
import { readManifest } from './manifest.ts'
import type { RunningFunctions } from './running-functions.ts'
import {
  type FinalState,
  isCutOffRollback,
  isFinal,
  ON_WATCH,
  resume,
  TRANSITIONS,
  TRANSITIONS_MAX,
  type WorkingState,
} from './transitions.ts'
import type { TufClient } from './tuf-client.ts'
import type { VersionStore } from './version-store.ts'

export interface DeploymentRunOptions {
  readonly book: DeploymentBook
  readonly versions: VersionStore
  readonly blobs: Pick<BlobCache, 'fetch' | 'isWhole' | 'pathOf'>
  readonly manifests: Pick<TufClient, 'fetchManifest'>
  readonly functions: RunningFunctions
  readonly logger: Logger
  readonly probationMs: number
  readonly onChange: () => void
}

interface Work {
  /** A function, or function@alias. */
  readonly name: string
  readonly version: number
  readonly interrupt: AbortController
  /** Rejects when the processor says that the version stopped being ready. */
  readonly failed: PromiseWithResolvers<never>
  manifest: string
}

export class DeploymentRun {
  readonly #options: DeploymentRunOptions
  /** Functions whose deployment is being tried again: their repeated states do not count. */
  readonly #retried = new Set<string>()
  #work: Work | undefined

  constructor(options: DeploymentRunOptions) {
    this.#options = options
  }

  /** The version under way. */
  get target(): { readonly name: string; readonly version: number } | undefined {
    return this.#work
  }

  /** Throws what hinders it now, or the reason of `interrupt`; then the deployment is still under way. */
  async run(name: string, version: number): Promise<FinalState> {
    const work: Work = { name, version, interrupt: new AbortController(), failed: Promise.withResolvers<never>(), manifest: '' }
    work.failed.promise.catch(() => {})
    this.#work = work
    try {
      let state = await this.#begin(name, version)
      while (!isFinal(state)) state = await this.#advance(work, state)
      return state
    } finally {
      this.#work = undefined
    }
  }

  interrupt(reason: Error): void {
    this.#work?.interrupt.abort(reason)
  }

  failProbation(reason: Error): void {
    this.#work?.failed.reject(reason)
  }

  /** After a restart: a deployment that was cut off behind its last act is committed; the others go on by plan. */
  async finishInterrupted(name: string): Promise<void> {
    const { deployment } = this.#options.book.entry(name)
    if (!deployment || isFinal(deployment.state)) return
    const state = resume(deployment.state, await this.#facts(name, deployment.version))
    if (state === 'committed') await this.#enter(name, this.#counted(name, deployment, state))
  }

  /**
   * A committed version on watch is in a crash loop: it is quarantined, and the version before it runs. False: there is none whole
   * on disk, and all stays as it is.
   */
  async rollBack(name: string, version: number, reason: Error): Promise<boolean> {
    const { book, versions, functions, logger } = this.#options
    const entry = book.entry(name)
    if (entry.onWatch !== version || entry.previous === null || (await versions.current(name)) !== version) return false
    const error = `crash loop: ${describeError(reason)}`
    if (!(await this.#facts(name, entry.previous)).isStaged) {
      logger.error({ function: name, version, previous: entry.previous, error }, 'no older version is whole on disk; this one goes on')
      return false
    }
    const transitions = (entry.deployment?.version === version ? entry.deployment.transitions : 0) + 1
    await this.#enter(name, { version, state: ON_WATCH['crash-loop'], transitions, error })
    crashPoint('rollback:quarantined')
    await this.finishRollback(name)
    await functions.backToCommitted(name)
    crashPoint('rollback:after-activating')
    return true
  }

  /** Also after a restart, before anything is started: a version that was rolled back does not run again. */
  async finishRollback(name: string): Promise<void> {
    const { book, versions, functions } = this.#options
    const { deployment, previous } = book.entry(name)
    if (previous === null || !isCutOffRollback(deployment, await versions.current(name))) return
    if (!(await this.#facts(name, previous)).isStaged) return
    await functions.goBack(name, previous)
    await book.setEntry(name, { deployment: book.entry(name).deployment, previous: null })
  }

  /** The first state of this try: where an interrupted deployment goes on, or `fetching`. */
  async #begin(name: string, version: number): Promise<DeploymentState> {
    const { deployment } = this.#options.book.entry(name)
    if (!deployment || deployment.version !== version || isFinal(deployment.state)) {
      return this.#enter(name, { version, state: 'fetching', transitions: 1 })
    }
    const state = resume(deployment.state, await this.#facts(name, version))
    if (state === deployment.state && this.#retried.has(name)) return state
    return this.#enter(name, this.#counted(name, deployment, state))
  }

  async #advance(work: Work, state: WorkingState): Promise<DeploymentState> {
    const { name, version, interrupt } = work
    const { deployment } = this.#options.book.entry(name)
    if (!deployment) throw new DunlinError('assertion-failed', `${name} has no deployment in ${state}`)
    try {
      await this.#act[state](work)
      interrupt.signal.throwIfAborted()
    } catch (error) {
      if (interrupt.signal.aborted) throw interrupt.signal.reason
      if (!isVersionFault(error, state)) {
        this.#retried.add(name)
        throw error
      }
      const text = describeError(error)
      this.#options.logger.error({ function: name, version, from: state, error: text }, `deployment of ${name} failed in ${state}`)
      return this.#enter(name, { ...this.#counted(name, deployment, TRANSITIONS[state].failed), error: text })
    }
    return this.#enter(name, this.#counted(name, deployment, TRANSITIONS[state].done))
  }

  /** What each state does. Each may be done again from the start. */
  readonly #act: Record<WorkingState, (work: Work) => Promise<void>> = {
    fetching: async (work) => {
      const { name, version, interrupt } = work
      const { manifests, blobs } = this.#options
      const fn = readSlot(name).name
      work.manifest = await manifests.fetchManifest(fn, version, interrupt.signal)
      for (const file of readManifest(work.manifest, fn, version).files) await blobs.fetch(file, interrupt.signal)
      crashPoint('deploy:after-fetching')
    },
    verifying: async ({ name, version, manifest }) => {
      for (const { sha256 } of readManifest(manifest, readSlot(name).name, version).files) {
        if (await this.#options.blobs.isWhole(sha256)) continue
        throw new ResourceError('blob-lost', `File ${sha256} is damaged on this disk`, { retryable: true })
      }
      crashPoint('deploy:after-verifying')
    },
    staging: async ({ name, version, manifest }) => {
      const { versions, blobs } = this.#options
      // It may be there, and run under another alias: its files are not touched.
      const text = JSON.stringify(readManifest(manifest, readSlot(name).name, version))
      const staged = await versions.verify(name, version).catch(() => undefined)
      if (staged && JSON.stringify(staged.manifest) === text) return
      await versions.stage(name, version, manifest, (sha256) => blobs.pathOf(sha256))
    },
    activating: async ({ name, version }) => {
      const { versions, functions } = this.#options
      await functions.start(await versions.verify(name, version))
      crashPoint('deploy:after-activating')
    },
    probation: async ({ name, version, interrupt, failed }) => {
      const { functions, probationMs } = this.#options
      const over = new AbortController()
      try {
        await Promise.race([sleep(probationMs, AbortSignal.any([interrupt.signal, over.signal])), failed.promise])
      } finally {
        over.abort()
      }
      crashPoint('deploy:after-probation')
      await functions.commit(name, version)
    },
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
  #counted(name: string, { version, transitions: before }: Deployment, state: DeploymentState): Deployment {
    if (state === 'activating') this.#retried.delete(name)
    const transitions = before + (this.#retried.has(name) ? 0 : 1)
    if (transitions <= TRANSITIONS_MAX || isFinal(state)) return { version, state, transitions }
    const error = `Gave up after ${TRANSITIONS_MAX} states: the agent ended in the middle again and again`
    return { version, state: 'rolledback', transitions, error }
  }

  /** On disk before anything is done about it. */
  async #enter(name: string, deployment: Deployment): Promise<DeploymentState> {
    const { book, logger, onChange } = this.#options
    const { version, state: to } = deployment
    const entry = book.entry(name)
    const from = entry.deployment?.version === version ? entry.deployment.state : 'none'
    await book.setEntry(name, { ...entry, deployment })
    if (isFinal(to)) this.#retried.delete(name)
    logger.info({ function: name, version, from, to }, `deployment ${name} ${version}: ${from} -> ${to}`)
    onChange()
    return to
  }
}

/** Whether the version is to blame, and trying it again would be no use. */
function isVersionFault(error: unknown, state: WorkingState): boolean {
  if (state === 'activating' || state === 'probation') return true
  return error instanceof TrustError && !error.retryable
}

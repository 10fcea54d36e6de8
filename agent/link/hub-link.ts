/**
 * The device's link to its hub: one connection, made again for ever.
 *
 * It is `connecting` while a try runs, `online` from the hub's acceptance until the connection ends, `offline` between two tries
 * and `stopped` at the end. The waits are drawn with full jitter: a fleet that lost its hub must not come back in step. A
 * connection that did not live for `stableMs` counts as a failed try, so a hub that cuts at once is not hammered.
 * Nothing of the agent waits for the link: a hub that is away is normal.
 */
import * as v from 'valibot'
import { Desired, WIRE_PAYLOAD_BYTES_MAX } from '../../config/wire.ts'
import { type BackoffOptions, fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { codeOf, describeError, ResourceError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { type DeviceIdentity, HubSession } from './hub-session.ts'

export type LinkState =
  | { readonly name: 'offline'; readonly retryInMs: number; readonly error: string | undefined }
  | { readonly name: 'connecting'; readonly attempt: number }
  | { readonly name: 'online'; readonly sinceMs: number }
  | { readonly name: 'stopped' }

/** Called synchronously at each change; must not throw. */
export interface LinkListener {
  onOnline?(): void
  onOffline?(): void
  onDesired?(desired: Desired): void
}

/** What others need of the link. */
export interface Link {
  readonly state: LinkState
  listen(listener: LinkListener): () => void
  publish(topic: string, payload: string | Buffer): Promise<void>
}

export interface HubLinkOptions {
  readonly identity: DeviceIdentity
  readonly logger: Logger
  readonly backoff?: BackoffOptions
  readonly stableMs?: number
  readonly random?: () => number
}

const BACKOFF: BackoffOptions = { firstMs: 1000, maxMs: 60_000 }
const STABLE_MS = 5000

export class HubLink implements Link {
  readonly #options: HubLinkOptions
  readonly #listeners = new Set<LinkListener>()
  readonly #stopping = new AbortController()
  #state: LinkState = { name: 'offline', retryInMs: 0, error: undefined }
  #session: HubSession | undefined
  #running: Promise<void> | undefined

  constructor(options: HubLinkOptions) {
    this.#options = options
  }

  get state(): LinkState {
    return this.#state
  }

  /** Returns at once; the first try runs beside it. */
  start(): void {
    this.#running ??= this.#run(this.#stopping.signal)
  }

  /** A listener that comes while the link is online is told so at once. Returns how to stop listening. */
  listen(listener: LinkListener): () => void {
    this.#listeners.add(listener)
    if (this.#state.name === 'online') listener.onOnline?.()
    return () => this.#listeners.delete(listener)
  }

  /** Resolves at the hub's PUBACK. Rejects at once with 'link-offline' when there is no connection, with 'link-lost' when it ends first. Keeps nothing. */
  publish(topic: string, payload: string | Buffer): Promise<void> {
    if (!this.#session) return Promise.reject(new ResourceError('link-offline', 'Cannot publish: the hub is away', { retryable: true }))
    return this.#session.publish(topic, payload)
  }

  async close(): Promise<void> {
    this.#stopping.abort(new ResourceError('link-stopped', 'The link to the hub was stopped'))
    this.#session?.end()
    await this.#running
    this.#change({ name: 'stopped' })
  }

  async #run(signal: AbortSignal): Promise<void> {
    let attempt = 0
    while (!signal.aborted) {
      this.#change({ name: 'connecting', attempt: attempt + 1 })
      const { livedMs, error } = await this.#connectOnce(signal)
      if (signal.aborted) return
      attempt = livedMs >= (this.#options.stableMs ?? STABLE_MS) ? 1 : attempt + 1
      const retryInMs = fullJitterMs(attempt, this.#options.backoff ?? BACKOFF, this.#options.random)
      this.#change({ name: 'offline', retryInMs, error: describeError(error) })
      await sleep(retryInMs, signal).catch(() => {})
    }
  }

  /** One try: how long it was online, and what ended it. */
  async #connectOnce(signal: AbortSignal): Promise<{ livedMs: number; error: unknown }> {
    let session: HubSession
    try {
      session = await HubSession.open(this.#options.identity, (payload) => this.#receive(payload), signal)
    } catch (error) {
      return { livedMs: 0, error }
    }
    const startedMs = performance.now()
    this.#session = session
    this.#change({ name: 'online', sinceMs: Date.now() })
    const error = await session.ended
    this.#session = undefined
    return { livedMs: performance.now() - startedMs, error }
  }

  #receive(payload: Buffer): void {
    const desired = payload.length <= WIRE_PAYLOAD_BYTES_MAX ? parseDesired(payload) : undefined
    if (!desired) {
      this.#options.logger.error({ bytes: payload.length }, 'the hub sent a desired state that does not read; it is ignored')
      return
    }
    for (const listener of this.#listeners) listener.onDesired?.(desired)
  }

  #change(to: LinkState): void {
    const from = this.#state
    if (from.name === 'stopped') return
    this.#state = to
    const level = to.name === 'online' ? 'info' : from.name === 'online' && to.name === 'offline' ? 'warn' : 'debug'
    this.#options.logger[level]({ from: from.name, to }, `link ${from.name} -> ${to.name}`)
    if (to.name === 'online') for (const listener of this.#listeners) listener.onOnline?.()
    else if (from.name === 'online') for (const listener of this.#listeners) listener.onOffline?.()
  }
}

function parseDesired(payload: Buffer): Desired | undefined {
  try {
    return v.parse(Desired, JSON.parse(payload.toString('utf8')))
  } catch {
    return undefined
  }
}

/** Whether a rejected publish only means that the link went away. */
export function isLinkGone(error: unknown): boolean {
  return ['link-lost', 'link-offline', 'link-stopped', 'hub-unreachable', 'hub-silent', 'hub-not-trusted'].includes(codeOf(error))
}

import type { FunctionConfig, HttpTriggerConfig, TriggerConfig } from '../../config/function-config.ts'
import { PRODUCTION } from '../../config/routes.ts'
import type { Logger } from '../base/log.ts'
import { answerOf } from '../dispatch/delivery.ts'
import { listens } from './callable.ts'
import { isBelow } from './route.ts'
import type { Trigger, TriggerSink } from './trigger.ts'

/** A trigger that shall listen. */
export interface WantedTrigger {
  readonly config: TriggerConfig
  /** The alias whose version has it, and that gets its events when no route says otherwise. */
  readonly owner: string
  /** The path of a route: that it cannot be served is told and stops nothing else. */
  readonly isForRoute?: boolean
}

/**
 * The triggers of a function. Production's version says what they listen to; another alias adds those that only its version has.
 * Without production nobody listens: no event may go to a version under test because there is no other.
 *
 * `paths` are those of routes: where no http trigger listens there, the first one on the device's listener does so as well.
 */
export function wantedTriggers(configs: ReadonlyMap<string, FunctionConfig>, paths: readonly string[] = []): Map<string, WantedTrigger> {
  const wanted = new Map<string, WantedTrigger>()
  if (!configs.has(PRODUCTION)) return wanted
  const others = [...configs.keys()].filter((alias) => alias !== PRODUCTION).sort()
  for (const owner of [PRODUCTION, ...others]) {
    for (const config of configs.get(owner)!.triggers) if (!wanted.has(config.name)) wanted.set(config.name, { config, owner })
  }
  for (const more of forRoutes([...wanted.values()], paths)) wanted.set(`${more.config.name} for ${more.config.paths[0]}`, more)
  return wanted
}

/** For each path that nobody serves a trigger of its own: those that are there are not touched when a route comes or goes. */
function forRoutes(wanted: readonly WantedTrigger[], paths: readonly string[]): (WantedTrigger & { config: HttpTriggerConfig })[] {
  const http = wanted.flatMap(({ config, owner }) => (config.kind === 'http' && listens(config) ? [{ config, owner }] : []))
  const shared = http.find(({ config }) => config.server === null)
  if (!shared) return []
  const missing = [...new Set(paths)].filter((path) => !http.some(({ config }) => config.paths.some((known) => isBelow(path, known))))
  return missing.map((path) => ({ owner: shared.owner, isForRoute: true, config: { ...shared.config, paths: [path] } }))
}

interface Entrance {
  readonly trigger: Trigger
  /** What it was made from, as text: another means another trigger. */
  readonly made: string
}

/** Makes the trigger of `wanted`, not started. `sink` stays right whatever versions come and go behind it. */
export type OpenTrigger = (wanted: WantedTrigger, version: string, sink: TriggerSink, logger: Logger) => Promise<Trigger>

export interface EntrancesOptions {
  readonly open: OpenTrigger
  readonly sinkOf: (trigger: string) => TriggerSink
  readonly versionOf: (alias: string) => string
  readonly logger: Logger
}

/** The triggers of one function that listen. They belong to the function, not to a version: whom an event goes to is asked for each. */
export class Entrances {
  readonly #options: EntrancesOptions
  readonly #open = new Map<string, Entrance>()

  constructor(options: EntrancesOptions) {
    this.#options = options
  }

  /** Before their events would have nowhere to go. */
  async stopAllBut(wanted: ReadonlyMap<string, unknown>): Promise<void> {
    for (const name of this.#open.keys()) if (!wanted.has(name)) await this.#stop(name)
  }

  /** Rejects with why a trigger does not listen; resolves with why paths of routes are not served, if they are not. */
  async listen(wanted: ReadonlyMap<string, WantedTrigger>): Promise<string | undefined> {
    const problems: string[] = []
    for (const [name, trigger] of wanted) {
      if (!listens(trigger.config)) continue
      try {
        await this.#listen(name, trigger)
      } catch (error) {
        if (!trigger.isForRoute) throw error
        problems.push((error as Error).message)
      }
    }
    return problems.length === 0 ? undefined : problems.join('; ')
  }

  /** An event of this trigger was handled and nobody waits for the answer; most triggers have no use for it. */
  answered(name: string, record: Buffer, result: Buffer): void {
    const trigger = this.#open.get(name)?.trigger
    trigger?.answered?.(record, answerOf(result))
  }

  connectionOf(name: string): string | undefined {
    return this.#open.get(name)?.trigger.connection
  }

  /**
   * The device's own broker's old subscription goes only when the new one is there. Other kinds hold a port, a folder, a clock or a
   * session at an outside broker that two cannot share.
   */
  async #listen(name: string, wanted: WantedTrigger): Promise<void> {
    const { open, sinkOf, versionOf, logger } = this.#options
    const { config } = wanted
    const version = versionOf(wanted.owner)
    // A kickstart has something to do for each version.
    const made = JSON.stringify([config, config.kind === 'kickstart' ? version : null])
    const before = this.#open.get(name)
    if (before?.made === made) return
    const next = await open(wanted, version, sinkOf(config.name), logger.child({ trigger: config.name }))
    const canOverlap = config.kind === 'mqtt' && config.outside === null
    if (!canOverlap) await this.#stop(name)
    try {
      await next.start()
    } catch (error) {
      // What it has begun to listen to is let go; the one before, if it was stopped, is made anew by the next try.
      await next.stop().catch(() => {})
      throw error
    }
    if (canOverlap) await this.#stop(name)
    this.#open.set(name, { trigger: next, made })
  }

  async #stop(name: string): Promise<void> {
    const entrance = this.#open.get(name)
    this.#open.delete(name)
    await entrance?.trigger.stop()
  }
}

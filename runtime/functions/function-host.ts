import type { FunctionConfig } from '../../config/function-config.ts'
import { PRODUCTION, type Route, type RoutesOrigin } from '../../config/routes.ts'
import { InputError, ResourceError } from '../base/errors.ts'
import type { Logger } from '../base/log.ts'
import { failedAnswer, type Reply } from '../dispatch/delivery.ts'
import type { Pipeline, PipelineParts } from '../dispatch/pipeline.ts'
import type { EventWriter } from '../event/event-writer.ts'
import type { LedgerRow } from '../store/store.ts'
import type { FunctionVersion, WorkerHost } from '../workers/worker.ts'
import type { WorkerEnded, WorkerPool } from '../workers/worker-pool.ts'
import { AliasHost, type AliasStatus, sourceName } from './alias-host.ts'
import { callable } from './callable.ts'
import { addressOf } from './direct-call.ts'
import { Entrances, wantedTriggers, type WantedTrigger } from './entrances.ts'
import { moveAll, strandedOf } from './gather-waiting.ts'
import { liveRoutes, makeRouter, type Router } from './route.ts'
import { keepRoutes, keptRoutes, RouteTable } from './route-table.ts'
import type { MakeTrigger, TriggerSink } from './trigger.ts'

export interface FunctionParts extends PipelineParts {
  readonly events: EventWriter
  readonly makeTrigger: MakeTrigger
  readonly call: WorkerHost['call']
  readonly startLimitMs?: number
  readonly log: (functionName: string, level: number, message: string, fields: string) => void
  readonly onWorkerEnded: (version: FunctionVersion, ended: WorkerEnded, alias: string) => void
}

/** Production's version and workers, and beside it the other aliases. */
export interface FunctionStatus extends AliasStatus {
  readonly name: string
  readonly aliases: readonly ({ readonly alias: string } & AliasStatus)[]
  readonly routes: RoutesStatus
}

export interface RoutesStatus {
  readonly origin: RoutesOrigin
  readonly list: readonly Route[]
  /** Why paths of routes are not served; undefined: they are. */
  readonly problem: string | undefined
}

/**
 * One function on this device: its triggers, and the versions that run behind them, each under an alias. Where an event goes is
 * decided when it comes, before it is kept: a retry or a restart of the agent finds it with the alias that it was given to.
 */
export class FunctionHost {
  readonly name: string
  readonly #parts: FunctionParts
  readonly #logger: Logger
  readonly #aliases = new Map<string, AliasHost>()
  readonly #entrances: Entrances
  readonly #routes = new RouteTable()
  /** Null: all events go where their trigger belongs. */
  #router: Router | null = null
  #wanted: ReadonlyMap<string, WantedTrigger> = new Map()
  /** By trigger, where its events go when no route says otherwise. */
  #owners: ReadonlyMap<string, Pipeline> = new Map()
  /** Of routes to aliases that run. */
  #paths: readonly string[] = []
  #routesProblem: string | undefined
  /** One change of triggers and routes after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(name: string, parts: FunctionParts, hubRoutes?: readonly Route[]) {
    this.name = name
    this.#routes.set('hub', hubRoutes)
    this.#parts = parts
    this.#logger = parts.logger.child({ function: name })
    this.#entrances = new Entrances({
      open: ({ config }, version, sink, logger) => parts.makeTrigger(config, { functionName: name, version, sink, logger }),
      sinkOf: (trigger) => this.#sinkOf(trigger),
      versionOf: (alias) => this.#aliases.get(alias)?.current?.version ?? '',
      logger: this.#logger,
    })
  }

  /** The version of an alias. */
  running(alias: string = PRODUCTION): FunctionVersion | undefined {
    return this.#aliases.get(alias)?.current
  }

  get isRunning(): boolean {
    return this.#aliases.size > 0
  }

  /** Rejects when the workers do not become ready; then nothing has changed. */
  async activate(version: FunctionVersion, alias: string = PRODUCTION): Promise<void> {
    await this.#take(version, alias, async (pool) => pool.start())
  }

  /** At start: the triggers listen at once, the workers come up behind them and are retried. Events wait on disk meanwhile. */
  async adopt(version: FunctionVersion, alias: string = PRODUCTION): Promise<void> {
    await this.#take(version, alias, async (pool) => pool.startInBackground())
  }

  /** Ends one alias; its events stay where they are. */
  async deactivate(alias: string, graceMs: number): Promise<void> {
    const host = this.#aliases.get(alias)
    if (!host) return
    await this.#inTurn(async () => {
      this.#aliases.delete(alias)
      await this.#arrange()
      await host.stop(graceMs)
    })
  }

  /** Undefined: this origin has nothing to say any more. The device's own are on disk when this resolves; the hub's are its to keep. */
  async setRoutes(origin: 'hub' | 'device', routes: readonly Route[] | undefined): Promise<void> {
    if (origin === 'device') await keepRoutes(this.#parts.store, this.name, routes)
    await this.#inTurn(async () => {
      const before = JSON.stringify(this.#routes.current)
      this.#routes.set(origin, routes)
      if (JSON.stringify(this.#routes.current) !== before) await this.#arrange()
    })
  }

  get routes(): RoutesStatus {
    return { ...this.#routes.current, problem: this.#routesProblem }
  }

  /**
   * A direct call, as from the trigger of this name or kind; without one, as from the http trigger, else from the first. With
   * `alias` (or the number of a version that an alias runs) it goes there, else where the routes say.
   */
  invoke(record: Buffer, reply: Reply, trigger?: string, alias?: string): void {
    const to = addressOf(this.#running, { functionName: this.name, trigger, alias })
    if ('refusal' in to) return reply(to.refusal)
    const pipeline = to.alias === undefined ? this.#pipelineFor(to.trigger, record) : this.#aliases.get(to.alias)?.pipelineOf(to.trigger)
    if (pipeline) pipeline.invoke(record, reply)
    else reply(failedAnswer(503, `Function ${this.name} is not running`))
  }

  /**
   * What waits for aliases that neither run nor are among `kept` goes to production, so that nothing waits for ever. Events of a
   * trigger that production does not have stay where they are.
   */
  async gather(sources: readonly LedgerRow[], kept: ReadonlySet<string>): Promise<number> {
    let total = 0
    const served = { aliases: new Set([...kept, ...this.#aliases.keys()]), sources: this.sources }
    for (const { source, alias, trigger } of strandedOf(this.name, sources, served)) {
      const pipeline = this.#aliases.get(PRODUCTION)?.pipelineOf(trigger)
      if (!pipeline) continue
      const events = await moveAll(this.#parts.store, source, pipeline)
      total += events
      this.#logger.warn({ alias, trigger, events }, 'events that waited for an alias that is no more go to production')
    }
    return total
  }

  /** A dead letter or other inbox row that is to be tried again. */
  requeue(source: number, record: Buffer, inboxId: number): boolean {
    for (const host of this.#aliases.values()) if (host.requeue(source, record, inboxId)) return true
    return false
  }

  /** All that waits in a source that nobody serves becomes events of one that is served here; undefined: it is not. */
  async take(source: string, to: string): Promise<number | undefined> {
    for (const [alias, host] of this.#aliases) {
      const trigger = host.config?.triggers.find(({ name }) => sourceName(this.name, alias, name) === to)
      const pipeline = trigger && host.pipelineOf(trigger.name)
      if (pipeline) return moveAll(this.#parts.store, source, pipeline)
    }
    return undefined
  }

  /** The sources whose events are handled, or will be. */
  get sources(): readonly string[] {
    return [...this.#aliases].flatMap(([alias, { config }]) =>
      (config?.triggers ?? []).map((trigger) => sourceName(this.name, alias, trigger.name)),
    )
  }

  /** Takes no new events, lets running ones end within `graceMs`; the rest stays in the inbox. */
  async stop(graceMs: number): Promise<void> {
    await this.#inTurn(async () => {
      this.#wanted = new Map()
      this.#owners = new Map()
      await this.#entrances.stopAllBut(this.#wanted)
      await Promise.all([...this.#aliases.values()].map((host) => host.stop(graceMs)))
      this.#aliases.clear()
    })
  }

  status(): FunctionStatus {
    const production = this.running()
    if (!production) throw new InputError('function-not-active', `Function ${this.name} has no active version`)
    const others = [...this.#aliases.values()].filter(({ alias }) => alias !== PRODUCTION).sort((a, b) => (a.alias < b.alias ? -1 : 1))
    const status = this.#aliases.get(PRODUCTION)!.status(production)
    return {
      name: this.name,
      ...status,
      triggers: status.triggers.map((trigger) => {
        const connection = this.#entrances.connectionOf(trigger.name)
        return connection === undefined ? trigger : { ...trigger, connection }
      }),
      aliases: others.flatMap((host) => (host.current ? [{ alias: host.alias, ...host.status(host.current) }] : [])),
      routes: this.routes,
    }
  }

  async #take(given: FunctionVersion, alias: string, start: (pool: WorkerPool) => Promise<void>): Promise<void> {
    const version = callable(given)
    const known = this.#aliases.get(alias)
    const host = known ?? new AliasHost(this.name, alias, this.#partsOf(alias))
    if (this.#aliases.size === 0) this.#routes.set('device', await keptRoutes(this.#parts.store, this.name))
    const pools = await host.prepare(version, start)
    await this.#inTurn(async () => {
      await this.#entrances.stopAllBut(this.#triggersWith(alias, version))
      await host.switchTo(version, pools)
      this.#aliases.set(alias, host)
      try {
        await this.#arrange()
      } catch (error) {
        if (!known) await this.#takeBack(host)
        throw error
      }
    })
  }

  /** A first version whose triggers cannot listen does not run. */
  async #takeBack(host: AliasHost): Promise<void> {
    this.#aliases.delete(host.alias)
    await host.stop(0)
    await this.#arrange().catch((error: Error) =>
      this.#logger.error({ error: error.message }, 'the triggers of the function do not listen'),
    )
  }

  /** Brings triggers and routes to what runs now. Routes first: no event may go to an alias that is about to end. */
  async #arrange(): Promise<void> {
    const running = this.#running
    const versions = new Map([...running].map(([alias, { version }]) => [alias, version]))
    this.#routes.set('spec', this.running()?.config.routes ?? undefined)
    const { list } = this.#routes.current
    this.#router = makeRouter(list, versions)
    this.#paths = liveRoutes(list, versions).flatMap(({ route: { path } }) => (path === undefined ? [] : [path]))
    this.#wanted = wantedTriggers(configsOf(running), this.#paths)
    this.#owners = new Map(
      [...this.#wanted.values()].flatMap(({ config: { name }, owner }) => {
        const pipeline = this.#aliases.get(owner)?.pipelineOf(name)
        return pipeline ? [[name, pipeline] as const] : []
      }),
    )
    await this.#entrances.stopAllBut(this.#wanted)
    const problem = await this.#entrances.listen(this.#wanted)
    if (problem !== undefined && problem !== this.#routesProblem) this.#logger.warn({ problem }, 'paths of routes are not served')
    this.#routesProblem = problem
  }

  #triggersWith(alias: string, version: FunctionVersion): ReadonlyMap<string, WantedTrigger> {
    return wantedTriggers(configsOf(this.#running.set(alias, version)), this.#paths)
  }

  #sinkOf(trigger: string): TriggerSink {
    return {
      events: this.#parts.events,
      accept: (record, done) => {
        const pipeline = this.#pipelineFor(trigger, record)
        if (pipeline) pipeline.accept(record, done)
        else done(notServed(this.name, trigger))
      },
      invoke: (record, reply, onStream) => {
        const pipeline = this.#pipelineFor(trigger, record)
        if (pipeline) pipeline.invoke(record, reply, onStream)
        else reply?.(failedAnswer(503, notServed(this.name, trigger).message))
      },
      isBusy: () => [...this.#aliases.values()].some((host) => host.pipelineOf(trigger)?.isBusy === true),
    }
  }

  /** Where an event of this trigger goes. An alias whose version does not have the trigger leaves the event to the trigger's owner. */
  #pipelineFor(trigger: string, record: Buffer): Pipeline | undefined {
    if (this.#router === null) return this.#owners.get(trigger)
    const wanted = this.#wanted.get(trigger)
    if (!wanted) return undefined
    return this.#aliases.get(this.#router(record, wanted.config))?.pipelineOf(trigger) ?? this.#owners.get(trigger)
  }

  get #running(): Map<string, FunctionVersion> {
    return new Map([...this.#aliases.values()].flatMap(({ alias, current }) => (current ? [[alias, current] as const] : [])))
  }

  #partsOf(alias: string) {
    const { onWorkerEnded } = this.#parts
    return {
      ...this.#parts,
      onWorkerEnded: (version: FunctionVersion, ended: WorkerEnded) => onWorkerEnded(version, ended, alias),
      onAnswered: (trigger: string, record: Buffer, result: Buffer) => this.#entrances.answered(trigger, record, result),
    }
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(act)
    this.#turn = mine.catch(() => {})
    return mine
  }
}

function configsOf(running: ReadonlyMap<string, FunctionVersion>): Map<string, FunctionConfig> {
  return new Map([...running].map(([alias, { config }]) => [alias, config]))
}

function notServed(name: string, trigger: string): ResourceError {
  return new ResourceError('trigger-not-served', `No version of ${name} takes events of trigger ${trigger} now`, { retryable: true })
}

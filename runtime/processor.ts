/**
 * The processor: runs functions on events. Read it from top to bottom to know how an event travels:
 *
 *   trigger -> EventWriter (record) -> Pipeline.accept -> store: inbox, committed -> trigger acknowledges its source
 *           -> KeyLanes (order) -> WorkerPool -> Worker -> RESULT
 *           -> store: ONE step (input acked, outputs in streams, state, ledger) -> onRows: the export pump wakes up
 */
import { readSlot, type Route } from '../config/routes.ts'
import { InputError } from './base/errors.ts'
import type { Clock } from './base/clock.ts'
import type { Logger } from './base/log.ts'
import { UuidSource } from './base/uuid.ts'
import { failedAnswer, type Reply } from './dispatch/delivery.ts'
import { HandledTap } from './dispatch/handled-tap.ts'
import { StreamDirectory } from './dispatch/stream-directory.ts'
import { EventWriter } from './event/event-writer.ts'
import { FunctionHost, type FunctionParts, type FunctionStatus } from './functions/function-host.ts'
import type { MakeTrigger } from './functions/trigger.ts'
import { resultRecord } from './event/result-record.ts'
import type { Store } from './store/store.ts'
import type { FunctionVersion } from './workers/worker.ts'
import type { WorkerEnded } from './workers/worker-pool.ts'

const FUNCTIONS_MAX = 256
const ERROR_LEVEL = 40

export interface ProcessorOptions {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly makeTrigger: MakeTrigger
  /** A function's context.publish. */
  readonly publish: (record: Buffer, functionName: string) => void
  readonly onStream: (id: number, name: string) => void
  readonly onRows: (streams: ReadonlySet<number>) => void
  /** A function's log line; `level` as in pino (10 debug, 20 info, 30 warn, 40 error), `fields` JSON text or empty. */
  readonly onLog: (functionName: string, level: number, message: string, fields: string) => void
  /** A worker of a running version ended by itself (it is started again); deployments judge the version by it. */
  readonly onWorkerEnded?: (version: FunctionVersion, ended: WorkerEnded, alias: string) => void
  /** A worker must be ready so long after its start; 30 s by default. */
  readonly startLimitMs?: number
}

export class Processor {
  readonly events: EventWriter
  readonly streams: StreamDirectory
  /** For those who look at what functions handle. */
  readonly tap = new HandledTap()
  readonly #functions = new Map<string, FunctionHost>()
  /** As the hub desires them; they outlive the functions that they are about. */
  readonly #hubRoutes = new Map<string, readonly Route[]>()
  readonly #parts: FunctionParts

  constructor(options: ProcessorOptions) {
    const ids = new UuidSource()
    this.events = new EventWriter(options.clock, ids, options.store.boot)
    this.streams = new StreamDirectory(options.store, options.onStream)
    this.#parts = {
      store: options.store,
      streams: this.streams,
      tap: this.tap,
      clock: options.clock,
      ids,
      logger: options.logger,
      events: this.events,
      makeTrigger: options.makeTrigger,
      publish: options.publish,
      onRows: options.onRows,
      log: options.onLog,
      onFailure: (name, error, stack, attempt) =>
        options.onLog(name, ERROR_LEVEL, `attempt ${attempt} failed: ${stack.includes(error) ? stack : error}`, ''),
      onWorkerEnded: options.onWorkerEnded ?? (() => {}),
      startLimitMs: options.startLimitMs,
      call: (name, record, answer) => {
        this.invoke(name, this.events.from(record), (result) => answer(resultRecord(result)))
      },
    }
  }

  /** Starts a version, and takes over from the one that runs when its workers are ready. Rejects with why they are not. */
  async activate(version: FunctionVersion, alias?: string): Promise<void> {
    await this.#host(version.config.name).activate(version, alias)
  }

  /** Takes a version up at start: triggers listen at once, workers follow. */
  async adopt(version: FunctionVersion, alias?: string): Promise<void> {
    await this.#host(version.config.name).adopt(version, alias)
  }

  /** Ends an alias of a function, or all of it. */
  async deactivate(name: string, graceMs: number, alias?: string): Promise<void> {
    const host = this.#functions.get(name)
    if (alias !== undefined) return host?.deactivate(alias, graceMs)
    this.#functions.delete(name)
    await host?.stop(graceMs)
  }

  /** Who gets which events of a function, as the hub has it; undefined: it says nothing. May come before the function runs. */
  async setHubRoutes(name: string, routes: readonly Route[] | undefined): Promise<void> {
    if (routes) this.#hubRoutes.set(name, routes)
    else this.#hubRoutes.delete(name)
    await this.#functions.get(name)?.setRoutes('hub', routes)
  }

  /** The device's own routes of a function, kept over restarts; undefined removes them. Refused while the hub says who gets what. */
  async setDeviceRoutes(name: string, routes: readonly Route[] | undefined): Promise<void> {
    const host = this.#functions.get(name)
    if (!host?.isRunning) throw new InputError('not-found', `There is no function "${name}" here`)
    if (host.routes.origin === 'hub') {
      throw new InputError('routes-of-hub', `Cannot change the routes of ${name} here: the release of the hub names them`, {
        hint: 'change them at the hub ("dunlin set route"), or take them out of the release ("dunlin delete route <function> --all-routes")',
      })
    }
    await host.setRoutes('device', routes)
  }

  /** Events that wait for aliases of `name` that are no more, and that are not `kept`, go to production; how many. Does nothing without it. */
  async gather(name: string, kept: ReadonlySet<string>): Promise<number> {
    const host = this.#functions.get(name)
    return host?.running() ? host.gather((await this.#parts.store.ledger()).sources, kept) : 0
  }

  /** What waits in a source that nobody serves (its trigger was removed, say) becomes events of another; how many. */
  async moveWaiting(from: string, to: string): Promise<number> {
    if (this.sources.has(from)) {
      throw new InputError('source-served', `Cannot move the events of ${from}: a function handles them`)
    }
    const host = this.#functions.get(to.slice(0, to.indexOf('/')))
    const { sources } = await this.#parts.store.ledger()
    if (!sources.some(({ name }) => name === from)) throw new InputError('not-found', `Nothing ever waited in "${from}"`)
    const moved = await host?.take(from, to)
    if (moved !== undefined) return moved
    const known = [...this.sources].join(', ')
    throw new InputError('not-found', `No function takes events of "${to}"`, { hint: `there are: ${known || 'none'}` })
  }

  /** The sources whose events are handled here. What waits in another waits for a function, alias or trigger that does not run. */
  get sources(): ReadonlySet<string> {
    return new Set([...this.#functions.values()].flatMap((host) => host.sources))
  }

  /** Undefined: there is no such function here. */
  routesOf(name: string): FunctionStatus['routes'] | undefined {
    return this.#functions.get(name)?.routes
  }

  /** A direct call, as from `trigger` (its name or kind); `reply` always comes. */
  invoke(name: string, record: Buffer, reply: Reply, trigger?: string): void {
    const slot = readSlot(name)
    const host = this.#functions.get(slot.name)
    if (host?.isRunning) return host.invoke(record, reply, trigger, name.includes('@') ? slot.alias : undefined)
    const known = [...this.#functions].filter(([, { isRunning }]) => isRunning).map(([other]) => other)
    reply(failedAnswer(404, `There is no function "${slot.name}" here; there are: ${known.join(', ') || 'none'}`))
  }

  /** Dead letters go back to the pipeline they came from. False: it is not there now; the event waits in the inbox. */
  requeue(source: number, record: Buffer, inboxId: number): boolean {
    for (const host of this.#functions.values()) if (host.requeue(source, record, inboxId)) return true
    return false
  }

  status(): FunctionStatus[] {
    return [...this.#functions.values()].filter((host) => host.running()).map((host) => host.status())
  }

  /** Stops all functions; running events get `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    await Promise.all([...this.#functions.keys()].map((name) => this.deactivate(name, graceMs)))
  }

  #host(name: string): FunctionHost {
    let host = this.#functions.get(name)
    if (!host) {
      if (this.#functions.size >= FUNCTIONS_MAX) {
        throw new InputError('functions-max', `Cannot start function "${name}": ${FUNCTIONS_MAX} functions run, the most there may be`)
      }
      host = new FunctionHost(name, this.#parts, this.#hubRoutes.get(name))
      this.#functions.set(name, host)
    }
    return host
  }
}

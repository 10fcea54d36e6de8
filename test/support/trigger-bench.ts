import { HttpListener } from '../../adapters/triggers/http-listener.ts'
import type { Marks } from '../../adapters/triggers/marks.ts'
import { MqttRouter } from '../../adapters/triggers/mqtt-router.ts'
import { makeTrigger, type TriggerServices } from '../../adapters/triggers/registry.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { httpServerOn } from '../../config/http-server.ts'
import { Clock } from '../../runtime/base/clock.ts'
import { ResourceError } from '../../runtime/base/errors.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import { UuidSource } from '../../runtime/base/uuid.ts'
import { EventWriter } from '../../runtime/event/event-writer.ts'
import type { Trigger, TriggerSink } from '../../runtime/functions/trigger.ts'

/** One trigger in front of a sink that a test plays: it takes events, holds them back, or refuses them as a full store does. */
export class TriggerBench {
  /** Records in the order they came, also those that were refused. */
  readonly offered: Buffer[] = []
  readonly committed: Buffer[] = []
  /** The most that were offered and not committed at one time. */
  mostWaiting = 0
  readonly router = new MqttRouter()
  readonly http = new HttpListener(httpServerOn({ host: '127.0.0.1', port: 0 }), 'http')
  readonly kept = new Map<string, string>()
  mode: 'take' | 'hold' | 'refuse' = 'take'
  #held: (() => void)[] = []
  #changed: (() => void)[] = []

  readonly marks: Marks = {
    get: async (name) => this.kept.get(name),
    set: async (name, value) => {
      this.kept.set(name, value)
      this.#notify()
    },
  }

  readonly sink: TriggerSink = {
    events: new EventWriter(new Clock(), new UuidSource(), 1),
    accept: (record, done) => this.#offer(record, done),
    invoke: (record, reply) => {
      this.#offer(record, () => reply?.({ status: 200, contentType: undefined, headers: {}, body: Buffer.from('ok'), error: undefined }))
    },
    isBusy: () => false,
  }

  /** `trigger`: what stands under its name in function.yaml. */
  async make(trigger: object, version = '1'): Promise<Trigger> {
    const text = JSON.stringify({ metadata: { name: 'f' }, spec: { runtime: 'nodejs', triggers: { t: trigger } } })
    const config = parseFunctionConfig(text, 'function.yaml').triggers[0]!
    const services: TriggerServices = { router: this.router, http: this.http, marks: this.marks }
    return makeTrigger(config, { functionName: 'f', version, sink: this.sink, logger: silentLogger }, services)
  }

  /** Commits what is held, and takes what comes from now on. */
  take(): void {
    this.mode = 'take'
    const held = this.#held
    this.#held = []
    for (const commit of held) commit()
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, 20)
      this.#changed.push(resolve)
      await promise
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    this.take()
    await this.http.close()
  }

  #offer(record: Buffer, done: (error: Error | null) => void): void {
    this.offered.push(record)
    this.mostWaiting = Math.max(this.mostWaiting, this.offered.length - this.committed.length)
    const commit = (): void => {
      this.committed.push(record)
      done(null)
      this.#notify()
    }
    if (this.mode === 'refuse') setImmediate(() => done(new ResourceError('store-full', 'The store is full', { retryable: true })))
    else if (this.mode === 'hold') this.#held.push(commit)
    else setImmediate(commit)
    this.#notify()
  }

  #notify(): void {
    const waiting = this.#changed
    this.#changed = []
    for (const resolve of waiting) resolve()
  }
}

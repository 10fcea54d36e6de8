import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { MqttRouter } from '../../adapters/triggers/mqtt-router.ts'
import { HttpListener } from '../../adapters/triggers/http-listener.ts'
import { makeTrigger } from '../../adapters/triggers/registry.ts'
import { httpServerOn, type HttpServerConfig } from '../../config/http-server.ts'
import { parseFunctionConfig } from '../../config/function-config.ts'
import { Clock } from '../../runtime/base/clock.ts'
import { silentLogger } from '../../runtime/base/log.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { Tag } from '../../runtime/event/record.ts'
import { bodyOf } from '../../runtime/event/event-writer.ts'
import type { Trigger, TriggerSink } from '../../runtime/functions/trigger.ts'
import { Processor } from '../../runtime/processor.ts'
import { openStore, type StoreClient } from '../../runtime/store/store-client.ts'
import type { FunctionVersion } from '../../runtime/workers/worker.ts'
import { headOf } from '../../runtime/event/event-writer.ts'
import { findItem } from '../../runtime/event/head.ts'

export interface LogLine {
  readonly level: number
  readonly message: string
  readonly fields: string
}

/** A processor on a real store, with the triggers an agent has; messages are published through the router as the broker does. */
export class ProcessorRig {
  readonly store: StoreClient
  readonly router = new MqttRouter()
  readonly http: HttpListener
  /** What was made last for each trigger's name. */
  readonly triggers = new Map<string, Trigger>()
  readonly logs: LogLine[] = []
  readonly published: { topic: string; body: string }[] = []
  /** Of the triggers, by name: where they put their events. */
  readonly sinks = new Map<string, TriggerSink>()
  readonly processor: Processor
  readonly #directory: string
  #versions = 0
  #changed: (() => void)[] = []

  private constructor(directory: string, store: StoreClient, http: HttpServerConfig, startLimitMs: number | undefined) {
    this.#directory = directory
    this.http = new HttpListener(http, 'http')
    this.store = store
    this.processor = new Processor({
      store,
      clock: new Clock(),
      logger: silentLogger,
      startLimitMs,
      makeTrigger: async (config, context) => {
        const trigger = await makeTrigger(config, context, {
          router: this.router,
          http: this.http,
          marks: { get: (name) => store.getValue(name), set: (name, value) => store.setValue(name, value) },
        })
        this.triggers.set(config.name, trigger)
        this.sinks.set(config.name, context.sink)
        return trigger
      },
      publish: (record) => {
        const topic = findItem(headOf(record), Tag.topic) ?? ''
        this.published.push({ topic, body: bodyOf(record).toString() })
        this.router.publish({ clientId: '', topic, payload: bodyOf(record), qos: 1, retain: false }, () => {})
        this.#notify()
      },
      onStream: () => {},
      onRows: () => this.#notify(),
      onLog: (_function, level, message, fields) => {
        this.logs.push({ level, message, fields })
        this.#notify()
      },
    })
  }

  static async open(
    directory: string,
    {
      http = httpServerOn({ host: '127.0.0.1', port: 0 }),
      maxBytes = 64 * 1024 * 1024,
      startLimitMs,
    }: { http?: HttpServerConfig; maxBytes?: number; startLimitMs?: number } = {},
  ): Promise<ProcessorRig> {
    const store = await openStore({
      dataDir: path.join(directory, 'data'),
      maxBytes,
      commitIntervalMs: 0,
      logger: silentLogger,
    })
    return new ProcessorRig(directory, store, http, startLimitMs)
  }

  /** Writes the files of a function version and returns it, ready for `processor.activate`. */
  version(spec: string, files: Record<string, string>): FunctionVersion {
    const version = String(++this.#versions)
    const directory = path.join(this.#directory, `v${version}`)
    mkdirSync(directory, { recursive: true })
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text, { mode: 0o755 })
    return { config: parseFunctionConfig(spec, 'function.yaml'), version, directory }
  }

  /** Resolves when the message is committed by all who listen. */
  publish(topic: string, body: string, qos: 0 | 1 | 2 = 1): Promise<void> {
    return new Promise((resolve, reject) => {
      this.router.publish({ clientId: 'test', topic, payload: Buffer.from(body), qos, retain: false }, (error) =>
        error ? reject(error) : resolve(),
      )
    })
  }

  invoke(name: string, body: string): Promise<Answer> {
    const record = this.processor.events.finish(Buffer.from(body))
    return new Promise((resolve) => this.processor.invoke(name, record, resolve))
  }

  /** Bodies of the rows of a stream, in order. */
  async rows(stream: string): Promise<string[]> {
    await this.store.flush()
    const id = this.processor.streams.idOf(stream)
    if (id === undefined) return []
    return (await this.store.readStream(id, 1, Number.MAX_SAFE_INTEGER, 100_000, 1 << 30)).map(({ record }) => bodyOf(record).toString())
  }

  /** Resolves as soon as `isTrue` holds; looked at after everything that the processor does. */
  async until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isTrue())) {
      const { promise, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, 20)
      this.#changed.push(resolve)
      await promise
      clearTimeout(timer)
    }
  }

  async close(): Promise<void> {
    await this.processor.stop(1_000)
    await this.http.close()
    await this.store.close()
  }

  #notify(): void {
    const waiting = this.#changed
    this.#changed = []
    for (const resolve of waiting) resolve()
  }
}

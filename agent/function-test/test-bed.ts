import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Clock } from '../../runtime/base/clock.ts'
import { Closer } from '../../runtime/base/closer.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { bodyOf, headOf } from '../../runtime/event/event-writer.ts'
import { findItem } from '../../runtime/event/head.ts'
import { AT, Flag, Tag } from '../../runtime/event/record.ts'
import { Processor } from '../../runtime/processor.ts'
import { openStore, type StoreClient } from '../../runtime/store/store-client.ts'
import { built } from '../source/built-source.ts'
import { openFunctionSource } from '../source/function-source.ts'
import { syntheticRecord, type SyntheticEvent } from '../source/synthetic-event.ts'
import type { Outcome } from './compare.ts'

const STORE_BYTES = 256 * 1024 * 1024
const ROWS_MAX = 10_000
const ROWS_BYTES_MAX = 64 * 1024 * 1024
const STOP_MS = 2_000

type Published = Outcome['publishes'][number]

interface Parts {
  readonly processor: Processor
  readonly store: StoreClient
  readonly closer: Closer
  /** Of the event that was given last. */
  readonly logs: string[]
  readonly publishes: Published[]
}

/**
 * A function as it runs on a device (same processor, same store, its real runtime) whose triggers are silent: its events are given
 * one by one, and all that comes of each is gathered. Begins with empty state.
 */
export class TestBed {
  readonly functionName: string
  readonly runtime: string
  readonly #parts: Parts
  readonly #seen = new Map<string, number>()

  private constructor(functionName: string, runtime: string, parts: Parts) {
    this.functionName = functionName
    this.runtime = runtime
    this.#parts = parts
  }

  /** Rejects with ConfigError, or with why the handler does not load. */
  static async open(path: string, logger: Logger): Promise<TestBed> {
    const closer = new Closer()
    try {
      const source = await built(openFunctionSource(path))
      closer.push(() => source.close())
      const dataDir = mkdtempSync(join(tmpdir(), 'dunlin-test-'))
      closer.push(() => rmSync(dataDir, { recursive: true, force: true }))
      const store = await openStore({ dataDir, maxBytes: STORE_BYTES, commitIntervalMs: 0, logger })
      closer.push(() => store.close())
      const logs: string[] = []
      const publishes: Published[] = []
      const processor = new Processor({
        store,
        clock: new Clock(),
        logger,
        makeTrigger: async () => ({ start: async () => {}, stop: async () => {} }),
        publish: (record) =>
          void publishes.push({
            topic: findItem(headOf(record), Tag.topic) ?? '',
            body: Buffer.from(bodyOf(record)),
            qos: record[AT.flags]! & Flag.qosMask,
          }),
        onStream: () => {},
        onRows: () => {},
        onLog: (_name, _level, message, fields) => void logs.push(fields === '' ? message : `${message} ${fields}`),
      })
      closer.push(() => processor.stop(STOP_MS))
      const { config } = source
      await processor.activate({ config, version: 'source', directory: source.folder })
      return new TestBed(config.name, config.runtime, { processor, store, closer, logs, publishes })
    } catch (error) {
      await closer.close()
      throw error
    }
  }

  /** Gives it one event and waits for its answer, which comes after the commit of its effects. `stateKeys`: what to look up then. */
  async give(event: SyntheticEvent, stateKeys: readonly string[]): Promise<Outcome> {
    const { processor, logs, publishes } = this.#parts
    logs.length = 0
    publishes.length = 0
    const startedMs = performance.now()
    const record = syntheticRecord(processor.events, event)
    const answer = await new Promise<Answer>((resolve) => processor.invoke(this.functionName, record, resolve, event.trigger))
    const ms = performance.now() - startedMs
    return {
      ...answer,
      body: Buffer.from(answer.body),
      emits: await this.#emitted(),
      publishes: [...publishes],
      state: await this.#state(stateKeys),
      logs: [...logs],
      ms,
    }
  }

  async close(): Promise<void> {
    await this.#parts.closer.close()
  }

  /** Rows of all streams that were not there before, stream by stream, each in its order. */
  async #emitted(): Promise<Outcome['emits']> {
    const emits: { stream: string; body: Buffer }[] = []
    for (const { name } of (await this.#parts.store.ledger()).streams) {
      const id = this.#parts.processor.streams.idOf(name)
      if (id === undefined) continue
      const after = this.#seen.get(name) ?? 0
      const rows = await this.#parts.store.readStream(id, after + 1, Number.MAX_SAFE_INTEGER, ROWS_MAX, ROWS_BYTES_MAX)
      for (const { seq, record } of rows) {
        this.#seen.set(name, seq)
        emits.push({ stream: name, body: Buffer.from(bodyOf(record)) })
      }
    }
    return emits
  }

  async #state(keys: readonly string[]): Promise<ReadonlyMap<string, Buffer>> {
    const state = new Map<string, Buffer>()
    const id = await this.#parts.store.openFunction(this.functionName)
    for (const key of keys) {
      const value = await this.#parts.store.getState(id, key)
      if (value !== undefined) state.set(key, withoutForm(value))
    }
    return state
  }
}

/** A state value begins with one byte that tells its form (docs/ring.md). */
function withoutForm(stored: Buffer): Buffer {
  return stored[0] === 0 || stored[0] === 1 ? stored.subarray(1) : stored
}

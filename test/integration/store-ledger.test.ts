import test from 'ava'
import fc from 'fast-check'
import fs from 'node:fs'
import path from 'node:path'
import type { StoreClient } from '../../runtime/store/store-client.ts'
import { accept, bury, MiB, move, openTestStore, settle, wholeInbox } from '../support/store-rig.ts'
import { tempDir } from '../support/temp-dir.ts'

const QUOTA = 900

type Step =
  | { do: 'accept'; source: 0 | 1; count: number }
  | { do: 'settle' | 'bury'; pick: number; emits: { stream: 0 | 1; bytes: number }[] }
  | { do: 'direct'; source: 0 | 1; emits: { stream: 0 | 1; bytes: number }[] }
  | { do: 'release'; stream: 0 | 1; upTo: number }
  | { do: 'replay'; pick: number }
  | { do: 'move'; from: 0 | 1; rows: number }
  | { do: 'reopen' }

const bit = fc.constantFrom(0 as const, 1 as const)
const emits = fc.array(fc.record({ stream: bit, bytes: fc.integer({ min: 0, max: 200 }) }), { maxLength: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('accept' as const), source: bit, count: fc.integer({ min: 1, max: 8 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'bury' as const), pick: fc.nat(), emits }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('direct' as const), source: bit, emits }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), stream: bit, upTo: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('replay' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), from: bit, rows: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
)

/** What the store must hold, kept by the simplest means. Stream 1 has a quota. */
class Model {
  readonly sources = [0, 1].map(() => ({ accepted: 0, delivered: 0, dead: 0, waiting: new Set<number>() }))
  readonly streams = [0, 1].map(() => ({ accepted: 0, delivered: 0, rejected: 0, rows: new Map<number, number>() }))
  /** Every id that was ever given, with its source: also those that are gone. */
  readonly given: { id: number; source: 0 | 1 }[] = []

  accept(source: 0 | 1, id: number): void {
    this.sources[source]!.accepted++
    this.sources[source]!.waiting.add(id)
    this.given.push({ id, source })
  }

  /** True, false (it was settled before) or 'stream-full'. */
  settle(source: 0 | 1, id: number, emitted: readonly { stream: 0 | 1; bytes: number }[]): boolean | string {
    const account = this.sources[source]!
    if (id !== 0 && !account.waiting.has(id)) {
      return false
    }
    const held = [...this.streams[1]!.rows.values()].reduce((sum, bytes) => sum + bytes, 0)
    const added = emitted.filter((emit) => emit.stream === 1).reduce((sum, emit) => sum + emit.bytes, 0)
    if (emitted.some((emit) => emit.stream === 1) && held + added > QUOTA) {
      this.streams[1]!.rejected++
      return 'stream-full'
    }
    if (id === 0) account.accepted++
    account.waiting.delete(id)
    account.delivered++
    for (const { stream, bytes } of emitted) this.streams[stream]!.rows.set(++this.streams[stream]!.accepted, bytes)
    return true
  }

  bury(source: 0 | 1, id: number): boolean {
    if (!this.sources[source]!.waiting.delete(id)) return false
    this.sources[source]!.dead++
    return true
  }

  /** The oldest leave, and are told under their new ids by `accept`. */
  leave(source: 0 | 1, rows: number): number {
    const account = this.sources[source]!
    const leaving = [...account.waiting].toSorted((x, y) => x - y).slice(0, rows)
    for (const id of leaving) account.waiting.delete(id)
    account.accepted -= leaving.length
    return leaving.length
  }

  release(stream: 0 | 1, upTo: number): void {
    const account = this.streams[stream]!
    for (const seq of account.rows.keys()) if (seq <= upTo && account.rows.delete(seq)) account.delivered++
  }
}

test('store ledger balances and agrees with a model after any steps', async (t) => {
  t.timeout(100_000)
  const root = tempDir(t)
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      const dir = path.join(root, String(run++))
      const model = new Model()
      const names = async (store: StoreClient) => ({
        sources: [await store.openSource('a'), await store.openSource('b')] as const,
        streams: [await store.openStream('free'), await store.openStream('small', { maxBytes: QUOTA })] as const,
      })
      let store = await openTestStore(t, dir)
      let { sources, streams } = await names(store)
      const pending: Promise<void>[] = []
      const expect = (answer: Promise<unknown>, expected: unknown) =>
        pending.push(
          answer.then(
            (value) => void t.is(value, expected as never),
            (error: { code: string }) => void t.is(error.code, expected as never),
          ),
        )
      for (const s of steps) {
        if (s.do === 'accept') {
          for (const id of await Promise.all(Array.from({ length: s.count }, () => accept(store, sources[s.source], Buffer.alloc(50)))))
            model.accept(s.source, id)
        } else if (s.do === 'direct') {
          const emitted = s.emits.map(({ stream, bytes }) => [streams[stream], Buffer.alloc(bytes)] as [number, Buffer])
          expect(settle(store, sources[s.source], 0, emitted), model.settle(s.source, 0, s.emits))
        } else if (s.do === 'settle' || s.do === 'bury') {
          if (model.given.length === 0) continue
          const { id, source } = model.given[s.pick % model.given.length]!
          const emitted = s.emits.map(({ stream, bytes }) => [streams[stream], Buffer.alloc(bytes)] as [number, Buffer])
          if (s.do === 'settle') expect(settle(store, sources[source], id, emitted), model.settle(source, id, s.emits))
          else expect(bury(store, sources[source], id), model.bury(source, id))
        } else if (s.do === 'release') {
          expect(store.releaseStream(streams[s.stream], 1, s.upTo), undefined)
          model.release(s.stream, s.upTo)
        } else if (s.do === 'replay') {
          const letters = await store.deadLetters(100)
          if (letters.length === 0) continue
          const replayed = await store.replayDeadLetter(letters[s.pick % letters.length]!.id)
          model.accept(replayed!.source === sources[0] ? 0 : 1, replayed!.inboxId)
        } else if (s.do === 'move') {
          const to = s.from === 0 ? 1 : 0
          const moved = model.leave(s.from, s.rows)
          t.is(await move(store, sources[s.from], sources[to], s.rows), moved)
          for (const { inboxId } of (await wholeInbox(store, sources[to])).slice(-moved || Infinity)) model.accept(to, inboxId)
        } else {
          await Promise.all(pending)
          await store.close()
          store = await openTestStore(t, dir)
          ;({ sources, streams } = await names(store))
        }
      }
      await Promise.all(pending)
      const ledger = await store.ledger()
      model.sources.forEach(({ waiting, ...counters }, i) =>
        t.like(ledger.sources[i], { ...counters, waiting: waiting.size, balanced: true }),
      )
      model.streams.forEach(({ rows, ...counters }, i) => t.like(ledger.streams[i], { ...counters, waiting: rows.size, balanced: true }))
      for (const i of [0, 1] as const) {
        t.deepEqual(
          (await wholeInbox(store, sources[i])).map((row) => row.inboxId),
          [...model.sources[i]!.waiting].toSorted((x, y) => x - y),
        )
        t.deepEqual(
          (await store.readStream(streams[i], 1, 1e9, 1e6, 64 * MiB)).map((row) => [row.seq, row.record.length]),
          [...model.streams[i]!.rows],
        )
      }
      t.is(new Set(model.given.map(({ id }) => id)).size, model.given.length, 'no id twice')
      await store.close()
      fs.rmSync(dir, { recursive: true })
    }),
    { numRuns: 40 },
  )
})

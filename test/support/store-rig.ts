import type { StoreClient, StoreOptions } from '../../runtime/store/store-client.ts'
import { openStore } from '../../runtime/store/store-client.ts'
import { silentLogger } from '../../runtime/base/log.ts'

export const MiB = 1024 * 1024

/** A store in `dataDir`, closed at the end of the test. */
export async function openTestStore(
  t: { teardown(fn: () => unknown): void },
  dataDir: string,
  options: Partial<StoreOptions> = {},
): Promise<StoreClient> {
  const store = await openStore({ dataDir, maxBytes: 64 * MiB, commitIntervalMs: 0, logger: silentLogger, ballastRetryMs: 0, ...options })
  t.teardown(() => store.close())
  return store
}

export function accept(store: StoreClient, source: number, record: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => store.accept(source, record, (error, id) => (error ? reject(error) : resolve(id))))
}

/** One step: ends the event, emits each record to its stream. */
export function settle(store: StoreClient, source: number, inboxId: number, emits: readonly [number, Uint8Array][] = []): Promise<boolean> {
  return new Promise((resolve, reject) => {
    store.begin(source, inboxId)
    for (const [stream, record] of emits) store.emit(stream, record)
    store.end((error, settled) => (error ? reject(error) : resolve(settled)))
  })
}

export const REASON = { function: 'f', version: '1', error: 'Error: no', stack: 'at f', attempts: 5 }

export function bury(store: StoreClient, source: number, inboxId: number, record: Uint8Array | null = null): Promise<boolean> {
  return new Promise((resolve, reject) =>
    store.bury(source, inboxId, REASON, record, (error, settled) => (error ? reject(error) : resolve(settled))),
  )
}

export function move(store: StoreClient, from: number, to: number, rows: number): Promise<number> {
  return new Promise((resolve, reject) => store.moveInbox(from, to, rows, (error, moved) => (error ? reject(error) : resolve(moved))))
}

/** Every row of the source's inbox. */
export async function wholeInbox(store: StoreClient, source: number) {
  return store.readInbox(source, 0, 1_000_000, 1024 * MiB)
}

/**
 * Whether a version that was committed keeps its place: pure. It is on watch until no worker of it has ended by itself for
 * `provenMs`; a worker that ended too often in that time, or one that was not ready in time, is a crash loop.
 */
export interface WatchRule {
  /** So long without an end, and the version has proven itself. */
  readonly provenMs: number
  /** So many ends of one worker within `windowMs` are a crash loop. */
  readonly ends: number
  readonly windowMs: number
}

export const WATCH_RULE: WatchRule = { provenMs: 600_000, ends: 3, windowMs: 600_000 }

interface End {
  readonly atMs: number
  readonly worker: number
}

export interface Watch {
  /** Since when nothing happened. */
  readonly quietSinceMs: number
  /** Those of the window: at most `ends` of each worker. */
  readonly ends: readonly End[]
}

export type WatchEvent =
  | { readonly what: 'ended'; readonly atMs: number; readonly worker: number }
  /** A worker that was started again did not become ready in time. */
  | { readonly what: 'not-ready'; readonly atMs: number }
  | { readonly what: 'time'; readonly atMs: number }

export type Verdict = 'on-watch' | 'proven' | 'crash-loop'

export function newWatch(atMs: number): Watch {
  return { quietSinceMs: atMs, ends: [] }
}

export function observe(watch: Watch, event: WatchEvent, rule: WatchRule = WATCH_RULE): { watch: Watch; verdict: Verdict } {
  const { atMs } = event
  if (event.what === 'time') return { watch, verdict: atMs - watch.quietSinceMs >= rule.provenMs ? 'proven' : 'on-watch' }
  if (event.what === 'not-ready') return { watch: { ...watch, quietSinceMs: atMs }, verdict: 'crash-loop' }
  const ends = [...watch.ends.filter((end) => end.atMs > atMs - rule.windowMs), { atMs, worker: event.worker }]
  const ofWorker = ends.filter(({ worker }) => worker === event.worker).length
  return { watch: { quietSinceMs: atMs, ends }, verdict: ofWorker >= rule.ends ? 'crash-loop' : 'on-watch' }
}

import test from 'ava'
import { newWatch, observe, type Verdict, type WatchEvent } from '../../agent/deploy/watch-rule.ts'

const RULE = { provenMs: 600_000, ends: 3, windowMs: 600_000 }

function verdicts(...events: WatchEvent[]): Verdict[] {
  let watch = newWatch(0)
  return events.map((event) => {
    const seen = observe(watch, event, RULE)
    watch = seen.watch
    return seen.verdict
  })
}

const end = (atMs: number, worker = 0): WatchEvent => ({ what: 'ended', atMs, worker })
const time = (atMs: number): WatchEvent => ({ what: 'time', atMs })

test('three ends of a worker within the window are a crash loop, over a longer time they are not', (t) => {
  t.deepEqual(verdicts(end(5_000), end(10_000), end(15_000)), ['on-watch', 'on-watch', 'crash-loop'])
  t.deepEqual(verdicts(end(0), end(599_999), end(600_001)), ['on-watch', 'on-watch', 'on-watch'])
})

test('workers that end together once are no crash loop', (t) => {
  t.deepEqual(
    verdicts(...[0, 1, 2, 3].map((worker) => end(1_000, worker))),
    Array.from({ length: 4 }, () => 'on-watch'),
  )
})

test('a worker that is not ready in time is a crash loop at once', (t) => {
  t.deepEqual(verdicts({ what: 'not-ready', atMs: 30_000 }), ['crash-loop'])
})

test('version is proven when nothing ended for the whole time', (t) => {
  t.deepEqual(verdicts(time(599_999), time(600_000)), ['on-watch', 'proven'])
  t.deepEqual(verdicts(end(300_000), time(600_000), time(900_000)), ['on-watch', 'on-watch', 'proven'])
})

import test from 'ava'
import { afterAnswer, afterEnd, LOOP_RESTART, NO_HISTORY, RESTART, type SlotHistory } from '../../runtime/workers/restart-policy.ts'
import { sizeStep, type PoolView } from '../../runtime/workers/pool-size.ts'

/** Ends at these times; what is remembered then, and the last wait. */
function ended(atMs: readonly number[], end: { startMs?: number; isOwnFault?: boolean; isAnswering?: boolean } = {}) {
  let history: SlotHistory = NO_HISTORY
  let waitMs = 0
  for (const at of atMs) {
    ;({ history, waitMs } = afterEnd(history, {
      atMs: at,
      isOwnFault: end.isOwnFault ?? true,
      startMs: end.startMs ?? 50,
      servedMs: 1_000,
    }))
    if (end.isAnswering) history = afterAnswer(history)
  }
  return { ...history, waitMs }
}

test('first restart is at once, later waits double up to the longest', (t) => {
  t.deepEqual(
    [1, 2, 3, 4].map((n) => ended(Array.from({ length: n }, (_, i) => i * 100_000)).waitMs),
    [0, 100, 200, 400],
  )
  t.is(ended(Array.from({ length: 20 }, (_, i) => i * 100_000)).waitMs, RESTART.maxMs)
})

test('waits in a crash loop go from 10 s to 300 s', (t) => {
  const waits = [3, 4, 5, 6, 7, 8, 9].map((n) => ended(Array.from({ length: n }, (_, i) => i)).waitMs)
  t.deepEqual(waits, [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, LOOP_RESTART.maxMs])
})

test('waits stay short when it is an event that ends the workers: it must come to the dead letters', (t) => {
  const poisoned = ended([0, 1_000, 2_000, 3_000, 4_000], { isOwnFault: false })
  t.true(poisoned.isCrashLoop)
  t.is(poisoned.waitMs, 800)
})

test('three ends within a minute are a crash loop, over a longer time they are not', (t) => {
  t.true(ended([0, 20_000, 40_000]).isCrashLoop)
  t.false(ended([0, 20_000]).isCrashLoop)
  t.false(ended([0, 40_000, 80_000]).isCrashLoop)
})

test('the time scales with what a start takes', (t) => {
  t.true(ended([0, 40_000, 80_000], { startMs: 20_000 }).isCrashLoop)
  t.false(ended([0, 150_000, 300_000], { startMs: 20_000 }).isCrashLoop)
})

test('ends while events run are no crash loop as long as others are answered in between', (t) => {
  t.false(ended([0, 1_000, 2_000, 3_000], { isOwnFault: false, isAnswering: true }).isCrashLoop)
  t.true(ended([0, 1_000, 2_000], { isOwnFault: false }).isCrashLoop)
})

test('ends with nothing running are a crash loop even when events are answered in between, and waits grow on', (t) => {
  const loop = ended([0, 5_000, 10_000, 15_000, 20_000], { isAnswering: true })
  t.true(loop.isCrashLoop)
  t.is(loop.waitMs, 40_000)
})

test('a worker that has served for a whole window starts with a clean record', (t) => {
  const { history } = afterEnd(
    { ends: [], failures: 9, isCrashLoop: true, loopEnds: 7 },
    { atMs: 100_000, isOwnFault: true, startMs: 50, servedMs: 60_000 },
  )
  t.deepEqual([history.failures, history.isCrashLoop], [1, false])
})

const view: PoolView = {
  min: 1,
  max: 3,
  serving: 1,
  coming: 0,
  pressedForMs: 0,
  idleForMs: 0,
  idleTimeoutMs: 1_000,
  hasMemory: true,
}

test('pool grows when it has been full for a while, one worker at a time, up to its most and its memory', (t) => {
  t.is(sizeStep({ ...view, pressedForMs: 99 }), 'keep')
  t.is(sizeStep({ ...view, pressedForMs: 100 }), 'grow')
  t.is(sizeStep({ ...view, pressedForMs: 100, coming: 1 }), 'keep')
  t.is(sizeStep({ ...view, pressedForMs: 100, serving: 3 }), 'keep')
  t.is(sizeStep({ ...view, pressedForMs: 100, hasMemory: false }), 'keep')
})

test('pool shrinks by a worker that was idle for the time-out, down to its least', (t) => {
  t.is(sizeStep({ ...view, serving: 2, idleForMs: 999 }), 'keep')
  t.is(sizeStep({ ...view, serving: 2, idleForMs: 1_000 }), 'shrink')
  t.is(sizeStep({ ...view, serving: 1, idleForMs: 9_000 }), 'keep')
  t.is(sizeStep({ ...view, min: 0, serving: 1, idleForMs: 1_000 }), 'shrink')
})

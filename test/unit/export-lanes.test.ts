import test from 'ava'
import { backlogFramesMax, nextTurn, type StreamProgress } from '../../agent/export/lanes.ts'

const settings = { inFlightFramesMax: 8, liveShare: 0.25 }

function stream(id: number, more: Partial<StreamProgress> = {}): StreamProgress {
  return { id, name: `s${id}`, epoch: 'e', backlogNext: 1, backlogLast: 0, liveNext: 1, hasLive: false, ...more }
}

test('turn with live and backlog waiting is live', (t) => {
  const turn = nextTurn([stream(1, { backlogLast: 9 }), stream(2, { hasLive: true })], { live: 0, backlog: 0 }, settings, true)
  t.like(turn, { lane: 'live', stream: { id: 2 } })
})

test('turn with the backlog at its share of the window leaves the rest to live', (t) => {
  const waiting = [stream(1, { backlogLast: 9 })]
  t.is(backlogFramesMax(settings), 6)
  t.like(nextTurn(waiting, { live: 0, backlog: 5 }, settings, true), { lane: 'backlog' })
  t.is(nextTurn(waiting, { live: 0, backlog: 6 }, settings, true), undefined)
  t.like(nextTurn([stream(1, { hasLive: true })], { live: 1, backlog: 6 }, settings, true), { lane: 'live' })
})

test('turn with a full window waits', (t) => {
  t.is(nextTurn([stream(1, { hasLive: true })], { live: 2, backlog: 6 }, settings, true), undefined)
})

test('turn with the whole window kept for live still gives the backlog one frame', (t) => {
  const all = { inFlightFramesMax: 4, liveShare: 1 }
  t.like(nextTurn([stream(1, { backlogLast: 1 })], { live: 0, backlog: 0 }, all, true), { lane: 'backlog' })
})

test('turn with the backlog held back by its rate waits', (t) => {
  t.is(nextTurn([stream(1, { backlogLast: 9 })], { live: 0, backlog: 0 }, settings, false), undefined)
})

import test from 'ava'
import { parseSchedule } from '../../config/cron-schedule.ts'
import type { CatchUp } from '../../config/triggers/cron.ts'
import { IntervalRun } from '../../adapters/triggers/cron-interval.ts'
import { RETRY_MS, ScheduleRun, SET_BACK_MAX_MS, type Tick } from '../../adapters/triggers/cron-schedule-run.ts'
import { ticksOf } from '../../adapters/triggers/cron-ticks.ts'
import { TimeZone } from '../../adapters/triggers/time-zone.ts'
import { ManualClock } from '../support/manual-clock.ts'

const START = Date.parse('2026-05-01T12:00:00Z')
const MINUTE = 60_000
const HOUR = 60 * MINUTE

class Rig {
  readonly clock: ManualClock
  readonly fired: string[] = []
  readonly missed: [missed: number, made: number][] = []
  setBacks = 0
  readonly run: ScheduleRun

  constructor(schedule: string, catchUp: CatchUp = 'none', catchUpMax = 5, start = START) {
    this.clock = new ManualClock(start)
    this.run = new ScheduleRun({
      next: ticksOf(parseSchedule(schedule), new TimeZone('UTC')),
      clock: this.clock,
      catchUp,
      catchUpMax,
      fire: (tick) => this.fired.push(textOf(tick)),
      onMissed: (missed, made) => this.missed.push([missed, made]),
      onSetBack: () => this.setBacks++,
    })
  }
}

const textOf = ({ scheduledMs, isCatchUp }: Tick): string =>
  `${new Date(scheduledMs).toISOString().slice(11, 19)}${isCatchUp ? ' late' : ''}`

test('schedule fires each tick once, at its time', (t) => {
  const { run, clock, fired } = new Rig('*/10 * * * *')
  run.start(undefined)
  clock.advance(25 * MINUTE)
  t.deepEqual(fired, ['12:10:00', '12:20:00'])
  run.stop()
  clock.advance(HOUR)
  t.is(fired.length, 2)
  t.is(clock.timers, 0)
})

test('schedule fires a tick of every second once', (t) => {
  const { run, clock, fired } = new Rig('* * * * * *')
  run.start(undefined)
  clock.advance(60_000)
  t.is(fired.length, 60)
  t.is(new Set(fired).size, 60)
})

test('clock set back an hour repeats nothing, and the schedule goes on when it is reached again', (t) => {
  const { run, clock, fired, missed } = new Rig('*/10 * * * *', 'all')
  run.start(undefined)
  clock.advance(30 * MINUTE)
  const before = [...fired]
  clock.step(-HOUR)
  clock.advance(HOUR - 1)
  t.deepEqual(fired, before)
  clock.advance(10 * MINUTE + 1)
  t.deepEqual(fired.slice(before.length), ['12:40:00'])
  t.deepEqual(missed, [])
})

test('clock set back by a day was wrong before: the schedule starts anew', (t) => {
  const rig = new Rig('*/10 * * * *')
  rig.run.start(undefined)
  rig.clock.advance(10 * MINUTE)
  rig.clock.step(-24 * HOUR - SET_BACK_MAX_MS)
  rig.clock.advance(10 * MINUTE + 10_000)
  t.is(rig.setBacks, 1)
  t.is(rig.fired.length, 2)
})

for (const [catchUp, expected, made] of [
  ['none', [], 0],
  ['last', ['15:00:00 late'], 1],
  ['all', ['14:20:00 late', '14:30:00 late', '14:40:00 late', '14:50:00 late', '15:00:00 late'], 5],
] as const) {
  test(`clock set forward three hours with catchUp ${catchUp} fires ${expected.length} of what was missed`, (t) => {
    const { run, clock, fired, missed } = new Rig('*/10 * * * *', catchUp)
    run.start(undefined)
    clock.advance(MINUTE)
    clock.step(3 * HOUR)
    clock.advance(MINUTE)
    t.deepEqual(fired, expected)
    t.deepEqual(missed, [[18, made]])
    clock.advance(9 * MINUTE)
    t.is(fired.at(-1), '15:10:00')
  })

  test(`restart after three hours with catchUp ${catchUp} fires ${expected.length} of what was missed`, (t) => {
    const { run, clock, fired } = new Rig('*/10 * * * *', catchUp)
    clock.step(3 * HOUR + MINUTE)
    run.start(START)
    t.deepEqual(fired, expected)
    clock.advance(9 * MINUTE)
    t.is(fired.at(-1), '15:10:00')
    t.is(fired.length, expected.length + 1)
  })
}

test('schedule of every second that slept for a month makes up for no more than catchUpMax', (t) => {
  const { run, clock, fired, missed } = new Rig('* * * * * *', 'all', 100)
  run.start(undefined)
  clock.suspend(30 * 24 * HOUR)
  clock.advance(1_000)
  t.deepEqual(missed, [[1_000, 100]])
  t.is(fired.filter((text) => text.endsWith('late')).length, 100)
  t.is(fired.filter((text) => !text.endsWith('late')).length, 1)
})

test('loop that stalled for five seconds fires one tick of every second, not five', (t) => {
  const { run, clock, fired, missed } = new Rig('* * * * * *')
  run.start(undefined)
  clock.suspend(5_000)
  clock.advance(999)
  t.deepEqual(fired, [])
  clock.advance(1)
  t.deepEqual(fired, ['12:00:06'])
  t.deepEqual(missed, [[5, 0]])
})

test('board that boots in 1970 repeats nothing when its clock is set, and makes up for what it did miss', (t) => {
  const { run, clock, fired, setBacks } = new Rig('0 * * * *', 'all', 5, 0)
  run.start(START)
  clock.advance(HOUR)
  t.deepEqual(fired, ['01:00:00'])
  clock.step(START + 2 * HOUR + 10 * MINUTE - clock.now())
  clock.advance(MINUTE)
  t.deepEqual(fired.slice(1), ['13:00:00 late', '14:00:00 late'])
  t.is(setBacks, 0)
})

test('board that boots in 1970 for the first time has missed nothing when its clock is set', (t) => {
  const { run, clock, fired } = new Rig('0 * * * *', 'all', 5, 0)
  run.start(undefined)
  clock.step(START + 10 * MINUTE)
  clock.advance(50 * MINUTE)
  t.deepEqual(fired, ['13:00:00'])
})

test('mark of the future by an hour holds runs back after a restart, of ten hours it does not', (t) => {
  const near = new Rig('*/10 * * * *')
  near.run.start(START + HOUR)
  near.clock.advance(HOUR)
  t.deepEqual(near.fired, [])
  near.clock.advance(10 * MINUTE)
  t.deepEqual(near.fired, ['13:10:00'])
  const far = new Rig('*/10 * * * *')
  far.run.start(START + 10 * HOUR)
  far.clock.advance(10 * MINUTE)
  t.deepEqual(far.fired, ['12:10:00'])
})

test('tick that was not taken is fired again with a catch-up policy, and only then', (t) => {
  for (const [catchUp, count] of [
    ['none', 1],
    ['last', 2],
  ] as const) {
    const { run, clock, fired } = new Rig('0 * * * *', catchUp)
    run.start(undefined)
    clock.advance(HOUR)
    run.notTaken(START + HOUR)
    clock.advance(RETRY_MS)
    t.is(fired.length, count)
    clock.advance(HOUR)
    t.is(fired.length, count + 1)
  }
})

function intervalRig(everyMs: number, catchUp: CatchUp = 'none') {
  const clock = new ManualClock(START)
  const fired: string[] = []
  const run = new IntervalRun({ everyMs, clock, catchUp, catchUpMax: 3, fire: (tick) => fired.push(textOf(tick)) })
  return { clock, fired, run }
}

test('interval goes by the monotonic clock, whatever is done to the other one', (t) => {
  const { clock, fired, run } = intervalRig(10 * MINUTE)
  run.start(START - 5 * MINUTE)
  clock.step(-10 * HOUR)
  clock.advance(10 * MINUTE)
  clock.step(20 * HOUR)
  clock.advance(10 * MINUTE)
  t.is(fired.length, 2)
  run.stop()
  clock.advance(HOUR)
  t.is(fired.length, 2)
})

test('interval longer than a timer can wait is kept', (t) => {
  const { clock, fired, run } = intervalRig(40 * 24 * HOUR)
  run.start(undefined)
  clock.advance(40 * 24 * HOUR - 1)
  t.is(fired.length, 0)
  clock.advance(1)
  t.is(fired.length, 1)
})

test('interval with a catch-up policy goes on after a restart where it was', (t) => {
  const early = intervalRig(HOUR, 'last')
  early.run.start(START - 40 * MINUTE)
  early.clock.advance(20 * MINUTE)
  t.deepEqual(early.fired, ['12:20:00'])
  const last = intervalRig(HOUR, 'last')
  last.run.start(START - 150 * MINUTE)
  t.deepEqual(last.fired, ['11:30:00 late'])
  const all = intervalRig(HOUR, 'all')
  all.run.start(START - 330 * MINUTE)
  t.deepEqual(all.fired, ['09:30:00 late', '10:30:00 late', '11:30:00 late'])
  all.clock.advance(30 * MINUTE)
  t.is(all.fired.at(-1), '12:30:00')
})

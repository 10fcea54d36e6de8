import test from 'ava'
import { compileSchedule, parseSchedule, scheduleFault } from '../../config/cron-schedule.ts'
import { previousTick, ticksOf, type NextTick } from '../../adapters/triggers/cron-ticks.ts'
import { TimeZone } from '../../adapters/triggers/time-zone.ts'

const scheduled = (text: string, zone: string): NextTick => {
  const compiled = compileSchedule(text)
  if (!('schedule' in compiled)) throw new Error('an interval')
  return ticksOf(parseSchedule(compiled.schedule), new TimeZone(zone))
}

/** Due times as ISO with the zone's offset left out: UTC. */
function due(text: string, zone: string, from: string, to: string): string[] {
  const next = scheduled(text, zone)
  const found: string[] = []
  for (let at = next(Date.parse(from) - 1); at !== null && at < Date.parse(to); at = next(at)) {
    found.push(new Date(at).toISOString().replace(':00.000Z', 'Z'))
    if (found.length > 500) throw new Error('no end')
  }
  return found
}

const CASES: [title: string, schedule: string, zone: string, from: string, to: string, expected: string[]][] = [
  // Berlin goes from +1 to +2 on 2026-03-29 at 01:00Z, and back on 2026-10-25 at 01:00Z.
  [
    'a job in the hour that Berlin leaves out is due at its end',
    '30 2 * * *',
    'Europe/Berlin',
    '2026-03-28T00:00Z',
    '2026-03-31T00:00Z',
    ['2026-03-28T01:30Z', '2026-03-29T01:00Z', '2026-03-30T00:30Z'],
  ],
  ['several in that hour are due once', '*/20 2 * * *', 'Europe/Berlin', '2026-03-29T00:00Z', '2026-03-29T23:00Z', ['2026-03-29T01:00Z']],
  [
    'a job of the hour after is not due twice',
    '0 2,3 * * *',
    'Europe/Berlin',
    '2026-03-29T00:00Z',
    '2026-03-29T23:00Z',
    ['2026-03-29T01:00Z'],
  ],
  [
    'a job in the hour that Berlin has twice is due in the first',
    '30 2 * * *',
    'Europe/Berlin',
    '2026-10-24T12:00Z',
    '2026-10-26T12:00Z',
    ['2026-10-25T00:30Z', '2026-10-26T01:30Z'],
  ],
  [
    'a job of the hours around is due once each',
    '0 1-4 * * *',
    'Europe/Berlin',
    '2026-10-24T22:00Z',
    '2026-10-25T06:00Z',
    ['2026-10-24T23:00Z', '2026-10-25T00:00Z', '2026-10-25T02:00Z', '2026-10-25T03:00Z'],
  ],
  [
    'a pulse goes on through the hour that comes twice',
    '*/30 * * * *',
    'Europe/Berlin',
    '2026-10-25T00:00Z',
    '2026-10-25T02:30Z',
    ['2026-10-25T00:00Z', '2026-10-25T00:30Z', '2026-10-25T01:00Z', '2026-10-25T01:30Z', '2026-10-25T02:00Z'],
  ],
  [
    'a pulse makes up for nothing in the hour that is left out',
    '*/30 * * * *',
    'Europe/Berlin',
    '2026-03-29T00:00Z',
    '2026-03-29T02:00Z',
    ['2026-03-29T00:00Z', '2026-03-29T00:30Z', '2026-03-29T01:00Z', '2026-03-29T01:30Z'],
  ],
  // New York: 2026-03-08 07:00Z forward, 2026-11-01 06:00Z back.
  [
    'a job in the hour that New York leaves out is due at its end',
    '15 2 * * *',
    'America/New_York',
    '2026-03-07T12:00Z',
    '2026-03-09T12:00Z',
    ['2026-03-08T07:00Z', '2026-03-09T06:15Z'],
  ],
  [
    'a job in the hour that New York has twice is due in the first',
    '15 1 * * *',
    'America/New_York',
    '2026-10-31T12:00Z',
    '2026-11-02T12:00Z',
    ['2026-11-01T05:15Z', '2026-11-02T06:15Z'],
  ],
  // Lord Howe moves by half an hour: 2026-10-03 15:30Z from +10:30 to +11, 2026-04-04 15:00Z back.
  [
    'half an hour that Lord Howe leaves out',
    '10,40 2 * * *',
    'Australia/Lord_Howe',
    '2026-10-03T00:00Z',
    '2026-10-04T00:00Z',
    ['2026-10-03T15:30Z', '2026-10-03T15:40Z'],
  ],
  [
    'half an hour that Lord Howe has twice',
    '40 1 * * *',
    'Australia/Lord_Howe',
    '2026-04-04T00:00Z',
    '2026-04-05T00:00Z',
    ['2026-04-04T14:40Z'],
  ],
  // Apia went over the date line: there was no 2011-12-30.
  [
    'a job of the day that Apia skipped is due at its end',
    '0 9 * * *',
    'Pacific/Apia',
    '2011-12-29T00:00Z',
    '2012-01-01T00:00Z',
    ['2011-12-29T19:00Z', '2011-12-30T10:00Z', '2011-12-30T19:00Z', '2011-12-31T19:00Z'],
  ],
  [
    'a yearly job of the day that Apia skipped is not lost',
    '0 0 30 12 *',
    'Pacific/Apia',
    '2011-01-02T00:00Z',
    '2012-12-31T00:00Z',
    ['2011-12-30T10:00Z', '2012-12-29T10:00Z'],
  ],
  [
    'seconds come first in six fields',
    '*/20 0 0 * * *',
    'UTC',
    '2026-01-01T00:00Z',
    '2026-01-02T00:00Z',
    ['2026-01-01T00:00Z', '2026-01-01T00:00:20.000Z', '2026-01-01T00:00:40.000Z'],
  ],
  [
    'day of the month and day of the week: either will do',
    '0 0 13 * fri',
    'UTC',
    '2026-02-01T00:00Z',
    '2026-02-15T00:00Z',
    ['2026-02-06T00:00Z', '2026-02-13T00:00Z'],
  ],
  ['both kinds of Sunday', '0 0 * * 7', 'UTC', '2026-02-01T00:00Z', '2026-02-09T00:00Z', ['2026-02-01T00:00Z', '2026-02-08T00:00Z']],
  ['the leap day, years away', '0 0 29 2 *', 'Asia/Kolkata', '2096-03-01T00:00Z', '2105-01-01T00:00Z', ['2104-02-28T18:30Z']],
  [
    'from 10 in steps of 20',
    '10/20 12 * * *',
    'UTC',
    '2026-01-01T00:00Z',
    '2026-01-02T00:00Z',
    ['2026-01-01T12:10Z', '2026-01-01T12:30Z', '2026-01-01T12:50Z'],
  ],
]

for (const [title, schedule, zone, from, to, expected] of CASES) {
  test(`cron ${schedule} in ${zone}: ${title}`, (t) => t.deepEqual(due(schedule, zone, from, to), expected))
}

test('cron ticks read backwards are those read forwards', (t) => {
  for (const [schedule, zone, from, to] of CASES.map((c) => [c[1], c[2], c[3], c[4]] as const)) {
    const next = scheduled(schedule, zone)
    const after = Date.parse(from) - 1
    const found: string[] = []
    for (let at = previousTick(next, after, Date.parse(to)); at !== null; at = previousTick(next, after, at)) {
      found.unshift(new Date(at).toISOString().replace(':00.000Z', 'Z'))
    }
    t.deepEqual(found, due(schedule, zone, from, to), `${schedule} ${zone}`)
  }
})

test('cron ticks over ten years in every zone meet the wall clock of the schedule, once a day', (t) => {
  for (const zone of ['Europe/Berlin', 'America/Sao_Paulo', 'Africa/Casablanca', 'Asia/Gaza', 'Pacific/Auckland']) {
    const next = scheduled('0 12 * * *', zone)
    const wall = new Intl.DateTimeFormat('en-GB', { timeZone: zone, hour: '2-digit', minute: '2-digit', day: 'numeric', month: 'numeric' })
    const seen = new Set<string>()
    let at = Date.UTC(2015, 0, 1)
    for (let day = 0; day < 3650; day++) {
      at = next(at)!
      const text = wall.format(at)
      if (!text.endsWith('12:00')) t.fail(`${zone} ${text}`)
      seen.add(new Date(at).toISOString())
    }
    t.is(seen.size, 3650)
    t.true(at < Date.UTC(2025, 0, 1) && at > Date.UTC(2024, 11, 27))
  }
})

for (const [text, fault] of [
  ['0 0 30 2 *', 'a schedule with a day that exists'],
  ['0 0 31 4,6 *', 'a schedule with a day that exists'],
  ['0 0 31 4,6 mon', 'a schedule with a day that exists'],
  ['0 0 29 2 *', null],
  ['0 22-3 * * fri-mon', null],
  ['5/15 ? * * ?', null],
  ['0 0 L * *', 'a schedule whose day of the month is "*" or within 1 to 31'],
] as const) {
  test(`cron schedule ${text} is ${fault === null ? 'good' : 'refused'}`, (t) => t.is(scheduleFault(text), fault))
}

test('range that ends before it begins goes round, as of hours at night', (t) => {
  const { hours, weekdays } = parseSchedule('0 22-3 * * fri-mon')
  t.deepEqual(named(hours), [0, 1, 2, 3, 22, 23])
  t.deepEqual(named(weekdays), [0, 1, 5, 6])
})

test('step from a value goes to the end, as in Nuclio', (t) => {
  const compiled = compileSchedule('5/15 * * * *') as { schedule: string }
  t.deepEqual(named(parseSchedule(compiled.schedule).minutes), [5, 20, 35, 50])
})

function named(values: readonly boolean[]): number[] {
  return values.flatMap((isNamed, value) => (isNamed ? [value] : []))
}

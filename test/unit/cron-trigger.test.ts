import test from 'ava'
import { openCronTrigger } from '../../adapters/triggers/cron.ts'
import { parseFunctionConfig, type CronTriggerConfig } from '../../config/function-config.ts'
import { silentLogger, type Logger } from '../../runtime/base/log.ts'
import type { Trigger } from '../../runtime/functions/trigger.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { TriggerBench } from '../support/trigger-bench.ts'

function configOf(attributes: object, name = 't'): CronTriggerConfig {
  const text = JSON.stringify({ metadata: { name: 'f' }, spec: { runtime: 'nodejs', triggers: { [name]: { kind: 'cron', attributes } } } })
  return parseFunctionConfig(text, 'function.yaml').triggers[0] as CronTriggerConfig
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('1,000 cron triggers of every second hold one event each while their handlers are stuck', async (t) => {
  const bench = new TriggerBench()
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  const triggers: Trigger[] = []
  const zones = ['Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC']
  const config = configOf({ schedule: '* * * * * *' })
  for (let n = 0; n < 1_000; n++) {
    const given = { ...config, name: `t${n}`, timezone: zones[n % 4]! }
    let isBusy = false
    const sink = {
      ...bench.sink,
      isBusy: () => isBusy,
      accept: (...[record, done]: Parameters<typeof bench.sink.accept>) => {
        isBusy = true
        bench.sink.accept(record, done)
      },
    }
    const trigger = openCronTrigger(given, { functionName: 'f', version: '1', sink, logger: silentLogger }, bench, clock)
    await trigger.start()
    triggers.push(trigger)
  }
  t.is(clock.timers, 1_000)
  for (let second = 0; second < 30; second++) {
    clock.advance(1_000)
    await turn()
  }
  t.is(bench.offered.length, 1_000)
  t.is(clock.timers, 1_000)
  await Promise.all(triggers.map((trigger) => trigger.stop()))
  t.is(clock.timers, 0)
  await bench.close()
})

test('runs that are skipped are counted: told of at the first, the tenth, the hundredth, and at the end', async (t) => {
  const told: unknown[] = []
  const logger: Logger = { ...silentLogger, warn: (fields) => told.push((fields as { skipped: number }).skipped) }
  const bench = new TriggerBench()
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  let isBusy = false
  const sink = { ...bench.sink, isBusy: () => isBusy }
  const trigger = openCronTrigger(configOf({ schedule: '* * * * * *' }), { functionName: 'f', version: '1', sink, logger }, bench, clock)
  await trigger.start()
  isBusy = true
  clock.advance(150_000)
  t.deepEqual(told, [1, 10, 100])
  isBusy = false
  clock.advance(1_000)
  t.deepEqual(told, [1, 10, 100, 150])
  t.is(bench.offered.length, 1)
  await trigger.stop()
  await bench.close()
})

test('run is noted when it is committed, not before, and not when it was refused', async (t) => {
  const bench = new TriggerBench()
  const clock = new ManualClock(Date.UTC(2026, 0, 1))
  const context = { functionName: 'f', version: '1', sink: bench.sink, logger: silentLogger }
  const trigger = openCronTrigger(configOf({ schedule: '0 * * * * *', timezone: 'UTC' }), context, bench, clock)
  await trigger.start()
  bench.mode = 'hold'
  clock.advance(60_000)
  await turn()
  t.is(bench.kept.size, 0)
  bench.take()
  await turn()
  t.is(bench.kept.get('cron/f/t'), '2026-01-01T00:01:00.000Z 0 * * * * *')
  bench.mode = 'refuse'
  clock.advance(60_000)
  await turn()
  await turn()
  t.is(bench.kept.get('cron/f/t'), '2026-01-01T00:01:00.000Z 0 * * * * *')
  await trigger.stop()
  await bench.close()
})

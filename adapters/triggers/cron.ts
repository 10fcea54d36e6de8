import { parseSchedule } from '../../config/cron-schedule.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import { realClock, type CronClock } from './cron-clock.ts'
import { IntervalRun } from './cron-interval.ts'
import { CronMark } from './cron-mark.ts'
import { ScheduleRun, type Tick } from './cron-schedule-run.ts'
import { ticksOf } from './cron-ticks.ts'
import { givenRecord } from './given-record.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'
import { TimeZone } from './time-zone.ts'

/** When the run was due, whenever it began. */
export const SCHEDULED_TIME_HEADER = 'x-dunlin-scheduled-time'
/** `true` for a run that was missed and is made up for. */
export const CATCH_UP_HEADER = 'x-dunlin-catch-up'

/** Zones are dear to make and few: the thousandth trigger in Berlin takes the first one's. There are some 600 names. */
const zones = new Map<string | null, TimeZone>()

/**
 * Events by the clock: a schedule in a time zone, or a fixed interval. One run at a time unless `concurrencyPolicy: Allow`:
 * what is due while an event of this trigger has not ended is skipped, and counted.
 */
export function openCronTrigger(
  config: TriggerOf<'cron'>,
  { sink, functionName, logger }: TriggerContext,
  { marks }: Pick<TriggerServices, 'marks'>,
  clock: CronClock = realClock,
): Trigger {
  const { schedule, intervalMs, timezone, catchUp, catchUpMax } = config
  const mark = new CronMark(marks, `cron/${functionName}/${config.name}`, schedule ?? `every ${intervalMs}ms`, logger)
  const skipped = new SkippedRuns((count) => logger.warn({ skipped: count }, 'runs were skipped, because the one before had not ended'))

  const fire = ({ scheduledMs, isCatchUp }: Tick): void => {
    if (config.concurrencyPolicy === 'Forbid' && !isCatchUp && (mark.isOpen || sink.isBusy())) return skipped.add()
    skipped.end()
    const record = givenRecord(sink.events, config.name, config, {
      [SCHEDULED_TIME_HEADER]: new Date(scheduledMs).toISOString(),
      ...(isCatchUp ? { [CATCH_UP_HEADER]: 'true' } : {}),
    })
    mark.begin(scheduledMs)
    if (config.delivery === 'direct') {
      sink.invoke(record, null)
      return mark.end(scheduledMs, true)
    }
    sink.accept(record, (error) => {
      mark.end(scheduledMs, !error)
      if (!error) return
      logger.warn({ error: error.message, scheduled: new Date(scheduledMs).toISOString() }, 'a cron event was not accepted')
      if (run instanceof ScheduleRun) run.notTaken(scheduledMs)
    })
  }

  const run =
    schedule === null
      ? new IntervalRun({ everyMs: intervalMs!, clock, catchUp, catchUpMax, fire })
      : new ScheduleRun({
          next: ticksOf(parseSchedule(schedule), zoneOf(timezone)),
          clock,
          catchUp,
          catchUpMax,
          fire,
          onMissed: (missed, made) => logger.info({ missed, made, catchUp }, 'runs were missed'),
          onSetBack: (byMs) => {
            mark.forget()
            logger.warn({ byMs }, 'the clock was set back by hours: the schedule starts anew from the time it has now')
          },
        })
  let isStarted = false
  return {
    async start() {
      if (isStarted) return
      isStarted = true
      const last = await mark.read()
      if (isStarted) run.start(last)
    },
    async stop() {
      if (isStarted) run.stop()
      isStarted = false
      skipped.end()
    },
  }
}

function zoneOf(name: string | null): TimeZone {
  let zone = zones.get(name)
  if (!zone) zones.set(name, (zone = new TimeZone(name)))
  return zone
}

/** Says how many were skipped in a row at the 1st, 10th, 100th, ... and at the end: a stuck handler must not fill the log. */
class SkippedRuns {
  readonly #tell: (count: number) => void
  #count = 0
  #toldAt = 1

  constructor(tell: (count: number) => void) {
    this.#tell = tell
  }

  add(): void {
    if (++this.#count < this.#toldAt) return
    this.#tell(this.#count)
    this.#toldAt *= 10
  }

  end(): void {
    if (this.#count > 1 && this.#count * 10 !== this.#toldAt) this.#tell(this.#count)
    this.#count = 0
    this.#toldAt = 1
  }
}

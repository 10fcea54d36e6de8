import cron from 'node-cron'
import { Tag } from '../../runtime/event/record.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/** Events by the clock: `schedule` (node-cron: five fields, or six with seconds) or a fixed `interval` without drift. */
export function openCronTrigger(
  config: TriggerOf<'cron'>,
  { sink, functionName, logger }: TriggerContext,
  { marks }: TriggerServices,
): Trigger {
  const mark = `cron/${functionName}/${config.name}`
  const fire = (): void => {
    sink.events.head.add(Tag.topic, config.name)
    for (const [key, value] of Object.entries(config.headers)) sink.events.head.add(Tag.header, value, key)
    const record = sink.events.finish(Buffer.from(config.body))
    const firedAt = new Date().toISOString()
    if (config.delivery === 'direct') return sink.invoke(record, null)
    sink.accept(record, (error) => {
      if (error) return logger.warn({ error: error.message }, 'a cron event was not accepted')
      marks.set(mark, firedAt).catch(() => {})
    })
  }
  let stop: () => unknown = () => {}
  return {
    async start() {
      if (config.schedule !== null) {
        const task = cron.schedule(config.schedule, fire, { name: mark, ...(config.timezone ? { timezone: config.timezone } : {}) })
        stop = () => task.destroy()
      } else stop = everyMs(config.intervalMs!, fire)
    },
    async stop() {
      await stop()
    },
  }
}

/** Ticks at start + n * ms by the monotonic clock: a late tick does not make the next ones late, and missed ones are not made up for. */
function everyMs(ms: number, act: () => void): () => void {
  const startMs = performance.now()
  let timer: NodeJS.Timeout
  const arm = (): void => {
    const sinceMs = performance.now() - startMs
    timer = setTimeout(
      () => {
        act()
        arm()
      },
      Math.max(1, (Math.floor(sinceMs / ms + 0.001) + 1) * ms - sinceMs),
    )
  }
  arm()
  return () => clearTimeout(timer)
}

import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import { givenRecord } from './given-record.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/** How long an event that was not accepted (disk full) waits for the next try. */
const RETRY_MS = 1_000

/**
 * One event when the function starts, or once for each version. A version's event is noted after its commit: an agent that is
 * killed between the two gives it once more.
 */
export function openKickstartTrigger(
  config: TriggerOf<'kickstart'>,
  { sink, functionName, version, logger }: TriggerContext,
  { marks }: TriggerServices,
): Trigger {
  const mark = `kickstart/${functionName}/${config.name}`
  let timer: NodeJS.Timeout | undefined
  let isStopped = true
  const fire = (): void => {
    if (isStopped) return
    const record = givenRecord(sink.events, config.name, config)
    if (config.delivery === 'direct') {
      sink.invoke(record, null)
      return note()
    }
    sink.accept(record, (error) => {
      if (!error) return note()
      logger.warn({ error: error.message, retryInMs: RETRY_MS }, 'the kickstart event was not accepted')
      if (!isStopped) timer = setTimeout(fire, RETRY_MS)
    })
  }
  const note = (): void => {
    if (config.per === 'version')
      marks.set(mark, version).catch((error: Error) => logger.warn({ error: error.message }, 'cannot note a kickstart'))
  }
  return {
    async start() {
      if (!isStopped) return
      isStopped = false
      if (config.per === 'start' || (await marks.get(mark)) !== version) fire()
    },
    async stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

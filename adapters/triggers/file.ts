import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import { HandledFiles } from './file-handled.ts'
import { FileRun } from './file-run.ts'
import type { TriggerOf, TriggerServices } from './registry.ts'

/** Files of some folders become events: whole, each content once, and put away only when the event is committed. */
export function openFileTrigger(config: TriggerOf<'file'>, context: TriggerContext, { marks }: Pick<TriggerServices, 'marks'>): Trigger {
  let run: FileRun | undefined
  return {
    async start() {
      if (run) return
      run = new FileRun(config, context, new HandledFiles(marks, `file/${context.functionName}/${config.name}`, context.logger))
      await run.start()
    },
    async stop() {
      const running = run
      run = undefined
      await running?.stop()
    },
  }
}

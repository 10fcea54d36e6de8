/** `dunlin processor`: one function from Nuclio's processor.yaml, in the foreground, without a hub. The flags are those of Nuclio's processor. */
import { RUNTIMES } from '../../../config/runtimes.ts'
import type { Call } from '../call.ts'
import { Exit, usageError } from '../exit-codes.ts'
import { run } from './run.ts'
import { version } from './version.ts'

export interface ProcessorOptions {
  readonly config?: string
  readonly platformConfig?: string
  readonly listRuntimes?: boolean
  readonly version?: boolean
  readonly dataDir?: string
  readonly listen?: string
  readonly brokerListen?: string
}

export async function processor(call: Call, options: ProcessorOptions): Promise<Exit> {
  const { config, platformConfig, dataDir, listen, brokerListen } = options
  if (options.version) version(call)
  if (options.listRuntimes) for (const name of Object.keys(RUNTIMES)) call.printer.line(name)
  if (options.version || options.listRuntimes) return Exit.ok
  if (config === undefined) throw usageError('Cannot start a processor without a config', '--config processor.yaml')
  if (platformConfig !== undefined) {
    call.printer.remark(
      `notice: --platform-config ${platformConfig} has no effect here: docs/nuclio.md says what stands in for each of its fields`,
    )
  }
  return await run(call, config, {
    brokerWhenNeeded: true,
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(listen === undefined ? {} : { httpListen: listen }),
    ...(brokerListen === undefined ? {} : { brokerListen }),
  })
}

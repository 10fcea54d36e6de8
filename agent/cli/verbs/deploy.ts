import { slotName } from '../../../config/routes.ts'
import type { Call } from '../call.ts'
import { exitOf, waitForVersion } from '../deployment-wait.ts'
import { chooseDevices } from '../devices.ts'
import type { Exit } from '../exit-codes.ts'
import { publishFunction } from '../publish.ts'
import { built } from '../../source/built-source.ts'
import { openFunctionSource } from '../../source/function-source.ts'
import { InputError } from '../../../runtime/base/errors.ts'

export interface DeployOptions {
  readonly name?: string
  /** Default: production. */
  readonly alias?: string
  readonly device: readonly string[]
  readonly all?: boolean
  /** Undefined: on a terminal. */
  readonly wait?: boolean
  readonly timeout: number
}

/** Publishes a function and assigns it to devices. */
export async function deploy(call: Call, path: string, options: DeployOptions): Promise<Exit> {
  const { hub, home, printer } = call
  if (!home.context.publisher) {
    throw new InputError('config-invalid', `No publisher keys are named in the context of ${home.path}`, {
      hint: 'deploy from the home that "dunlin up" made, or name the folder of the keys as "publisher" in context.json',
    })
  }
  const source = await built(openFunctionSource(path, options.name === undefined ? {} : { name: options.name }))
  try {
    const { notices } = source.config
    for (const notice of notices) printer.remark(`notice: ${notice}`)
    const devices = await chooseDevices(call, options)
    const published = await publishFunction(hub, home.context.publisher, source)
    const { alias } = options
    const version = { name: published.name, version: published.version, ...(alias !== undefined && { alias }) }
    const what = `${published.name} ${published.version}`
    if (!printer.isJson) printer.line(published.isNew ? `Published ${what}` : `Published before: ${what} has this content`)
    const release =
      devices.length === 0
        ? null
        : ((await hub.post('/v1/releases', { functions: [version], devices })) as {
            release: number
          })
    const shouldWait = options.wait ?? printer.isTty
    const outcomes = shouldWait
      ? await waitForVersion(call, version, devices, options.timeout * 1000)
      : devices.map((device) => ({ device, state: 'sent' as const, error: null }))
    const result = {
      function: published.name,
      version: published.version,
      alias: alias ?? 'production',
      isNew: published.isNew,
      release: release?.release ?? null,
      devices: outcomes,
      notices,
    }
    printer.result(result, () =>
      devices.length === 0
        ? 'No device is enrolled: nothing was assigned'
        : shouldWait
          ? ''
          : `Assigned ${slotName(version.name, alias)} ${version.version} to ${devices.join(', ')}; "dunlin get functions" shows how it goes`,
    )
    return exitOf(outcomes)
  } finally {
    source.close()
  }
}

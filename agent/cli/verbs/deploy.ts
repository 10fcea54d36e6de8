import { sleep } from '../../../runtime/base/backoff.ts'
import type { HubDevice } from '../answers.ts'
import type { Call } from '../call.ts'
import { Exit, usageError } from '../exit-codes.ts'
import { publishFunction } from '../publish.ts'
import { oneLine } from '../table.ts'
import { built } from '../../source/built-source.ts'
import { openFunctionSource } from '../../source/function-source.ts'
import { InputError } from '../../../runtime/base/errors.ts'

const POLL_MS = 250

export interface DeployOptions {
  readonly name?: string
  readonly device: readonly string[]
  readonly all?: boolean
  /** Undefined: on a terminal. */
  readonly wait?: boolean
  readonly timeout: number
}

/** What became of a deployment on one device. */
export interface DeviceOutcome {
  readonly device: string
  /** 'sent' when nobody waited; 'waiting' when the time was over first. */
  readonly state: 'sent' | 'waiting' | 'committed' | 'rolledback'
  readonly error: string | null
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
    const what = `${published.name} ${published.version}`
    if (!printer.isJson) printer.line(published.isNew ? `Published ${what}` : `Published before: ${what} has this content`)
    const release =
      devices.length === 0
        ? null
        : ((await hub.post('/v1/releases', { functions: [{ name: published.name, version: published.version }], devices })) as {
            release: number
          })
    const shouldWait = options.wait ?? printer.isTty
    const outcomes = shouldWait
      ? await waitFor(call, published, devices, options.timeout * 1000)
      : devices.map((device) => ({ device, state: 'sent' as const, error: null }))
    const result = {
      function: published.name,
      version: published.version,
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
          : `Assigned ${what} to ${devices.join(', ')}; "dunlin get functions" shows how it goes`,
    )
    if (outcomes.some(({ state }) => state === 'rolledback')) return Exit.failed
    return outcomes.some(({ state }) => state === 'waiting') ? Exit.tryLater : Exit.ok
  } finally {
    source.close()
  }
}

/** --device, --all, or the only one there is. Asked before anything is published. */
async function chooseDevices({ hub }: Call, { device, all }: DeployOptions): Promise<string[]> {
  if (device.length > 0 && all) throw usageError('Cannot use --device and --all together')
  const { devices } = (await hub.get('/v1/devices')) as { devices: HubDevice[] }
  const accepted = devices.filter(({ state }) => state === 'accepted').map(({ id }) => id)
  const unknown = device.find((id) => !accepted.includes(id))
  if (unknown !== undefined)
    throw new InputError('device-unknown', `Cannot deploy to "${unknown}": there is no such accepted device`, {
      hint: '"dunlin get devices" lists them',
    })
  if (device.length > 0) return [...new Set(device)]
  if (all || accepted.length <= 1) return accepted
  throw usageError(
    `Cannot choose among ${accepted.length} devices`,
    `name them with --device (${accepted.slice(0, 3).join(', ')}, ...), or use --all`,
  )
}

async function waitFor(
  { hub, printer }: Call,
  { name, version }: { name: string; version: number },
  devices: readonly string[],
  timeoutMs: number,
): Promise<DeviceOutcome[]> {
  const outcomes = new Map<string, DeviceOutcome>()
  const shown = new Map<string, string>()
  const deadline = performance.now() + timeoutMs
  const show = (device: string, text: string) => {
    if (shown.get(device) === text) return
    shown.set(device, text)
    if (!printer.isJson) printer.line(`${device}: ${text}`)
  }
  while (outcomes.size < devices.length && performance.now() < deadline) {
    for (const id of devices) {
      if (outcomes.has(id)) continue
      const { connected, reported } = (await hub.get(`/v1/devices/${encodeURIComponent(id)}`)) as HubDevice
      const found = reported?.functions.find((entry) => entry.name === name && entry.version === version)
      if (found?.state === 'committed') {
        show(id, printer.paint('green', `${name} ${version} runs`))
        outcomes.set(id, { device: id, state: 'committed', error: null })
      } else if (found?.state === 'rolledback') {
        const error = oneLine(found.error ?? 'no reason was given')
        show(id, printer.paint('red', `rolled back: ${error}`))
        outcomes.set(id, { device: id, state: 'rolledback', error })
      } else show(id, found?.state ?? (connected ? 'told' : 'offline: it gets the function when it is back'))
    }
    if (outcomes.size < devices.length) await sleep(POLL_MS)
  }
  return devices.map((device) => outcomes.get(device) ?? { device, state: 'waiting', error: `not done within ${timeoutMs / 1000} s` })
}

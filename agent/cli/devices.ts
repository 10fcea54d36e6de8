/** Which devices a command is about, and what they are desired to run. */
import type { Desired } from '../../config/wire.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { HubDevice } from './answers.ts'
import type { Call } from './call.ts'
import { usageError } from './exit-codes.ts'

export interface DeviceChoice {
  readonly device: readonly string[]
  readonly all?: boolean
}

export type DesiredFunction = Desired['functions'][number]

/** --device, --all, or the only one there is. None is enrolled: an empty list. */
export async function chooseDevices({ hub }: Call, { device, all }: DeviceChoice): Promise<string[]> {
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

/** One device with its desired state. */
export async function deviceOf({ hub }: Call, id: string): Promise<HubDevice & { readonly desired: Desired }> {
  return (await hub.get(`/v1/devices/${encodeURIComponent(id)}`)) as HubDevice & { readonly desired: Desired }
}

/** The chosen devices that are to run the function, with what it is on each. Throws when there is none. */
export async function assignedDevices(
  call: Call,
  name: string,
  choice: DeviceChoice,
): Promise<{ readonly id: string; readonly desired: DesiredFunction }[]> {
  const found: { id: string; desired: DesiredFunction }[] = []
  for (const id of await chooseDevices(call, choice)) {
    const desired = (await deviceOf(call, id)).desired.functions.find((fn) => fn.name === name)
    if (desired) found.push({ id, desired })
  }
  if (found.length > 0) return found
  throw new InputError('function-not-assigned', `No device is to run ${name}`, { hint: `"dunlin deploy <folder>" assigns a function` })
}

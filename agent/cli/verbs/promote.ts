import { PRODUCTION, slotName } from '../../../config/routes.ts'
import { InputError } from '../../../runtime/base/errors.ts'
import type { Call } from '../call.ts'
import { exitOf, waitForVersion, type DeviceOutcome } from '../deployment-wait.ts'
import { assignedDevices, type DesiredFunction, type DeviceChoice } from '../devices.ts'
import { type Exit, usageError } from '../exit-codes.ts'
import { withoutRoutes } from '../route-list.ts'

export interface PromoteOptions extends DeviceChoice {
  /** The alias and its routes go when production runs the version. */
  readonly delete?: boolean
  readonly wait?: boolean
  readonly timeout: number
}

/** The version of an alias becomes production's, on each device the one that the alias has there. */
export async function promote(call: Call, name: string, alias: string, options: PromoteOptions): Promise<Exit> {
  if (alias === PRODUCTION) throw usageError('Cannot promote production to itself')
  if (options.delete && options.wait === false)
    throw usageError('Cannot use --delete with --no-wait: the alias goes when production runs its version')
  const { hub, printer } = call
  const devices = await assignedDevices(call, name, options)
  const chosen = devices.map(({ id, desired }) => ({ id, version: versionOf(desired, alias, id) }))
  const shouldWait = options.wait ?? (options.delete === true || printer.isTty)
  const outcomes: DeviceOutcome[] = []
  for (const [version, group] of Map.groupBy(chosen, (device) => device.version)) {
    const ids = group.map(({ id }) => id)
    await hub.post('/v1/releases', { functions: [{ name, version }], devices: ids })
    if (!printer.isJson) printer.line(`Production of ${name} becomes version ${version} on ${ids.join(', ')}`)
    if (!shouldWait) outcomes.push(...ids.map((device) => ({ device, state: 'sent' as const, error: null })))
    else outcomes.push(...(await waitForVersion(call, { name, version }, ids, options.timeout * 1000)))
  }
  const done = outcomes.filter(({ state }) => state === 'committed').map(({ device }) => device)
  if (options.delete) {
    await removeAlias(
      call,
      name,
      alias,
      devices.filter(({ id }) => done.includes(id)),
    )
  }
  printer.result({ function: name, alias, devices: outcomes, deleted: options.delete ? done : [] }, () => '')
  return exitOf(outcomes)
}

/** The alias stops; what waits for it goes to production. Routes to it go with it. */
export async function deleteAlias(call: Call, name: string, alias: string, choice: DeviceChoice): Promise<void> {
  if (alias === PRODUCTION) throw usageError('Cannot delete production', 'it goes with the function')
  const devices = await assignedDevices(call, name, choice)
  const having = devices.filter(({ desired }) => desired.aliases?.some((other) => other.alias === alias))
  if (having.length === 0) throw notThere(name, alias, devices.map(({ id }) => id).join(', '))
  await removeAlias(call, name, alias, having)
  const ids = having.map(({ id }) => id)
  call.printer.result({ function: name, alias, devices: ids }, () => `Deleted ${slotName(name, alias)} on ${ids.join(', ')}`)
}

async function removeAlias(
  { hub }: Call,
  name: string,
  alias: string,
  devices: readonly { readonly id: string; readonly desired: DesiredFunction }[],
): Promise<void> {
  for (const { id, desired } of devices) {
    const routes = desired.routes && { routes: { [name]: withoutRoutes(desired.routes, { alias }) } }
    await hub.post('/v1/releases', { remove: [slotName(name, alias)], devices: [id], ...routes })
  }
}

function versionOf({ name, aliases = [] }: DesiredFunction, alias: string, device: string): number {
  const found = aliases.find((other) => other.alias === alias)
  if (!found) throw notThere(name, alias, device)
  return found.version
}

function notThere(name: string, alias: string, device: string): InputError {
  return new InputError('alias-unknown', `Function ${name} has no alias ${alias} on ${device}`, { hint: '"dunlin get aliases" lists them' })
}

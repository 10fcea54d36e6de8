/** Who gets which events of a function: shown and changed, at the hub for its devices or on this device alone. */
import * as v from 'valibot'
import { PRODUCTION, Route } from '../../../config/routes.ts'
import { codeOf } from '../../../runtime/base/errors.ts'
import type { AgentRoutes, AgentStatus } from '../answers.ts'
import type { Call } from '../call.ts'
import { assignedDevices, type DesiredFunction, type DeviceChoice } from '../devices.ts'
import { usageError } from '../exit-codes.ts'
import { aimText, conditionsText, type RouteConditions, withoutRoutes, withRoute } from '../route-list.ts'
import { table } from '../table.ts'

interface Where extends DeviceChoice {
  /** On this device alone, through its own API. */
  readonly here?: boolean
}

export interface RouteOptions extends Where {
  readonly alias?: string
  readonly toVersion?: number
  readonly trigger?: string
  readonly path?: string
  readonly topic?: string
  readonly percent?: number
  readonly by?: 'event' | 'orderKey'
}

interface RoutesOf {
  readonly device: string | null
  readonly origin: string
  readonly routes: readonly Route[]
  readonly passedOver: readonly Route[]
  /** null at the hub: only the device knows. */
  readonly problem: string | null
}

export async function getRoutes(call: Call, name: string, options: Where): Promise<void> {
  if (isHere(call, options)) return show(call, name, [await ofAgent(call, name)])
  const found = (await assignedDevices(call, name, options)).map(ofDesired)
  // Where the hub says nothing, this device can tell what its own list or function.yaml says.
  const own = found.some(({ origin }) => origin === 'none') ? await ownDevice(call) : undefined
  show(
    call,
    name,
    await Promise.all(
      found.map(async (one) => (one.origin === 'none' && one.device === own ? { ...(await ofAgent(call, name)), device: own } : one)),
    ),
  )
}

/** Undefined: no agent of this home answers. */
async function ownDevice(call: Call): Promise<string | undefined> {
  if (!call.home.context.agent) return undefined
  try {
    return ((await call.agent.get('/v1/status')) as AgentStatus).device ?? undefined
  } catch (error) {
    if (codeOf(error) === 'nothing-running') return undefined
    throw error
  }
}

export async function setRoute(call: Call, name: string, options: RouteOptions & { readonly first?: boolean }): Promise<void> {
  const route = routeOf(options)
  await change(call, name, options, (list) => withRoute(list, route, options.first === true))
}

export async function deleteRoute(call: Call, name: string, options: RouteOptions & { readonly allRoutes?: boolean }): Promise<void> {
  const { alias, trigger, path, topic, percent } = options
  const what: RouteConditions & { alias?: string | undefined } = { alias, trigger, path, topic, percent }
  const isNothing = Object.values(what).every((value) => value === undefined)
  if (isNothing === (options.allRoutes !== true))
    throw usageError(
      'Say which routes: --path, --topic, --trigger, --percent and --alias, or --all-routes',
      '"dunlin get routes" lists them',
    )
  await change(call, name, options, (list) => {
    if (options.allRoutes) return null
    const left = withoutRoutes(list, what)
    if (left.length === list.length) throw usageError(`There is no such route: ${conditionsText(what)}`, '"dunlin get routes" lists them')
    return left
  })
}

/** null: none of its own; those of the next in rank count. */
async function change(call: Call, name: string, where: Where, edit: (list: readonly Route[]) => Route[] | null): Promise<void> {
  const path = `/v1/functions/${encodeURIComponent(name)}/routes`
  if (isHere(call, where)) {
    const before = await ofAgent(call, name)
    const routes = edit(before.origin === 'spec' ? [] : before.routes)
    await (routes ? call.agent.put(path, { routes }) : call.agent.delete(path))
    return show(call, name, [await ofAgent(call, name)])
  }
  const devices = await assignedDevices(call, name, where)
  const changed = devices.map(({ id, desired }) => ({ id, desired, routes: edit(desired.routes ?? []) }))
  // Devices that get the same list are one release.
  for (const group of Map.groupBy(changed, ({ routes }) => JSON.stringify(routes)).values()) {
    await call.hub.post('/v1/releases', { routes: { [name]: group[0]!.routes }, devices: group.map(({ id }) => id) })
  }
  show(
    call,
    name,
    changed.map(({ id, desired, routes }) => ofDesired({ id, desired: { ...desired, routes: routes ?? undefined } })),
  )
}

function isHere({ home }: Call, { here, device, all }: Where): boolean {
  if (here && (device.length > 0 || all)) throw usageError('Cannot use --here with --device or --all')
  return here === true || !home.context.hub
}

async function ofAgent({ agent }: Call, name: string): Promise<RoutesOf> {
  const {
    origin,
    routes,
    passedOver,
    problem = null,
  } = (await agent.get(`/v1/functions/${encodeURIComponent(name)}/routes`)) as AgentRoutes
  return { device: null, origin, routes, passedOver, problem }
}

function ofDesired({ id, desired }: { readonly id: string; readonly desired: DesiredFunction }): RoutesOf {
  const routes = desired.routes ?? []
  const aliases = new Set([PRODUCTION, ...(desired.aliases ?? []).map(({ alias }) => alias)])
  const versions = new Set([desired.version, ...(desired.aliases ?? []).map(({ version }) => version)])
  const passedOver = routes.filter(({ alias, version }) => (alias === undefined ? !versions.has(version ?? 0) : !aliases.has(alias)))
  return { device: id, origin: desired.routes ? 'hub' : 'none', routes, passedOver, problem: null }
}

function show({ printer }: Call, name: string, found: readonly RoutesOf[]): void {
  for (const { problem } of found) if (problem) printer.remark(`notice: ${problem}`)
  printer.result({ function: name, devices: found }, () => {
    const rows = found.flatMap(({ device, origin, routes, passedOver }) =>
      routes.map((route, i) => [
        device ?? 'this one',
        i + 1,
        conditionsText(route),
        aimText(route),
        origin,
        passedOver.some((other) => JSON.stringify(other) === JSON.stringify(route)) ? 'no such alias there: passed over' : null,
      ]),
    )
    if (rows.length > 0) return table(['DEVICE', 'ORDER', 'EVENTS', 'GO TO', 'SAID BY', 'REMARK'], rows, printer.width)
    return found.some(({ origin }) => origin === 'none')
      ? `Nobody names routes of ${name} but perhaps its function.yaml; without them all events go to production`
      : `All events of ${name} go to production`
  })
}

function routeOf({ alias, toVersion: version, trigger, path, topic, percent, by }: RouteOptions): Route {
  const given = Object.fromEntries(
    Object.entries({ alias, version, trigger, path, topic, percent, by }).filter(([, value]) => value !== undefined),
  )
  const parsed = v.safeParse(Route, given)
  if (parsed.success) return parsed.output
  const [{ message, path: at }] = parsed.issues
  throw usageError(
    `Cannot make this route: expected ${message}`,
    at
      ? `--${String(at[0].key)}`
      : by === undefined || percent !== undefined
        ? 'name where it goes with --alias or --to-version'
        : '--by says what --percent is taken of',
  )
}

import { PRODUCTION } from '../../../config/routes.ts'
import type { AgentStatus, HubDevice } from '../answers.ts'
import type { Call } from '../call.ts'
import { deviceOf } from '../devices.ts'
import { table } from '../table.ts'

interface AliasRow {
  readonly function: string
  readonly alias: string
  /** That it shall have; null: not known here. */
  readonly version: number | null
  /** null: this agent's own. */
  readonly device: string | null
  readonly state: string
  readonly error: string | null
}

/** Which version each alias has and how it is doing, at the hub; of a home without a hub, what the agent runs. */
export async function getAliases(call: Call, name: string | undefined): Promise<void> {
  const all = await (call.home.context.hub ? ofHub(call) : ofAgent(call))
  const aliases = name === undefined ? all : all.filter((row) => row.function === name)
  call.printer.result({ aliases }, () =>
    aliases.length === 0
      ? 'No functions are assigned'
      : table(
          ['FUNCTION', 'ALIAS', 'VERSION', 'DEVICE', 'STATE', 'PROBLEM'],
          aliases.map(({ function: fn, alias, version, device, state, error }) => [fn, alias, version, device, state, error]),
          call.printer.width,
        ),
  )
}

async function ofHub(call: Call): Promise<AliasRow[]> {
  const { devices } = (await call.hub.get('/v1/devices')) as { devices: HubDevice[] }
  const rows: AliasRow[] = []
  for (const { id, state } of devices) {
    if (state !== 'accepted') continue
    const { desired, reported } = await deviceOf(call, id)
    for (const { name, version, disabled, aliases = [] } of desired.functions) {
      for (const wanted of [{ alias: PRODUCTION, version, disabled }, ...aliases]) {
        const found = reported?.functions.find(
          (fn) => fn.name === name && (fn.alias ?? PRODUCTION) === wanted.alias && fn.version === wanted.version,
        )
        const state = wanted.disabled
          ? 'disabled'
          : !found
            ? 'told'
            : found.state === 'committed' && !found.ready
              ? 'not ready'
              : found.state
        rows.push({ function: name, alias: wanted.alias, version: wanted.version, device: id, state, error: found?.error ?? null })
      }
    }
  }
  return rows
}

async function ofAgent({ agent }: Call): Promise<AliasRow[]> {
  const { functions } = (await agent.get('/v1/status')) as AgentStatus
  return functions.flatMap((fn) =>
    [{ ...fn, alias: PRODUCTION }, ...fn.aliases].map(({ alias, version, ready, error }) => ({
      function: fn.name,
      alias,
      version: /^\d+$/.test(version) ? Number(version) : null,
      device: null,
      state: ready ? 'ready' : 'starting',
      error: ready ? null : (error ?? null),
    })),
  )
}

import type { AgentStatus, HubDevice, HubFunction } from '../answers.ts'
import type { Call } from '../call.ts'
import { table } from '../table.ts'
import { bytesText } from '../units.ts'
import { workersText } from '../workers-text.ts'

/** What is published and where it runs, as the hub knows; of a home without a hub, what the agent runs. */
export async function getFunctions(call: Call): Promise<void> {
  await (call.home.context.hub ? ofHub(call) : ofAgent(call))
}

async function ofHub({ hub, printer }: Call): Promise<void> {
  const [{ functions }, { devices }] = (await Promise.all([hub.get('/v1/functions'), hub.get('/v1/devices')])) as [
    { functions: HubFunction[] },
    { devices: HubDevice[] },
  ]
  const rows = functions.map((published) => ({
    ...published,
    devices: devices.flatMap(({ id, reported }) =>
      (reported?.functions ?? [])
        .filter(({ name, version }) => name === published.name && version === published.version)
        .map(({ state, ready, error }) => ({ device: id, state, ready, error })),
    ),
  }))
  printer.result({ functions: rows }, () =>
    rows.length === 0
      ? 'No functions are published; "dunlin deploy <folder>" publishes one'
      : table(
          ['FUNCTION', 'VERSION', 'PUBLISHED', 'DEVICES', 'STATE'],
          rows.map(({ name, version, created, devices: on }) => [
            name,
            version,
            created.slice(0, 19).replace('T', ' '),
            on.length,
            [
              ...new Set(on.map(({ state, ready, error }) => error ?? (state === 'committed' && !ready ? 'committed, not ready' : state))),
            ].join('; '),
          ]),
          printer.width,
        ),
  )
}

async function ofAgent({ agent, printer }: Call): Promise<void> {
  const { functions } = (await agent.get('/v1/status')) as AgentStatus
  printer.result({ functions }, () =>
    functions.length === 0
      ? 'No functions run here'
      : table(
          ['FUNCTION', 'VERSION', 'RUNTIME', 'WORKERS', 'MEMORY', 'RESTARTS', 'WAITING', 'ERROR'],
          functions.map(({ name, version, runtime, workers, triggers, error }) => [
            name,
            version,
            runtime,
            workersText(workers),
            `${bytesText(workers.memoryBytes)} of ${bytesText(workers.memoryBytesMax)}`,
            workers.restarts,
            triggers.reduce((sum, { waiting }) => sum + waiting, 0),
            error ?? disconnected(triggers),
          ]),
          printer.width,
        ),
  )
}

/** A trigger whose source is away, and why. */
function disconnected(triggers: AgentStatus['functions'][number]['triggers']): string | undefined {
  const away = triggers.find(({ connection }) => connection !== undefined && connection !== 'connected')
  return away && `${away.name}: ${away.connection}`
}

import type { HubDevice } from '../answers.ts'
import type { Call } from '../call.ts'
import { table } from '../table.ts'
import { agoText } from '../units.ts'

export async function getDevices({ hub, printer }: Call): Promise<void> {
  const answer = (await hub.get('/v1/devices')) as { devices: HubDevice[] }
  printer.result(answer, () =>
    answer.devices.length === 0
      ? 'No devices are enrolled'
      : table(
          ['DEVICE', 'STATE', 'LINK', 'LAST SEEN', 'FUNCTIONS', 'WAITING'],
          answer.devices.map(({ id, state, connected, lastSeen, reported }) => [
            id,
            state,
            connected ? 'online' : 'offline',
            connected ? 'now' : agoText(lastSeen === null ? null : Date.parse(lastSeen)),
            reported && `${reported.functions.filter(({ ready }) => ready).length}/${reported.functions.length} ready`,
            reported && reported.streams.reduce((sum, { waiting }) => sum + waiting, 0),
          ]),
          printer.width,
        ),
  )
}

/** Waits until devices run a version, or have rolled it back. */
import { PRODUCTION, slotName } from '../../config/routes.ts'
import { sleep } from '../../runtime/base/backoff.ts'
import type { Call } from './call.ts'
import { deviceOf } from './devices.ts'
import { Exit } from './exit-codes.ts'
import { oneLine } from './table.ts'

const POLL_MS = 250

/** What became of a deployment on one device. */
export interface DeviceOutcome {
  readonly device: string
  /** 'sent' when nobody waited; 'waiting' when the time was over first. */
  readonly state: 'sent' | 'waiting' | 'committed' | 'rolledback'
  readonly error: string | null
}

export interface DeployedVersion {
  readonly name: string
  readonly version: number
  /** Default: production. */
  readonly alias?: string
}

export async function waitForVersion(
  call: Call,
  { name, version, alias = PRODUCTION }: DeployedVersion,
  devices: readonly string[],
  timeoutMs: number,
): Promise<DeviceOutcome[]> {
  const { printer } = call
  const what = `${slotName(name, alias)} ${version}`
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
      const { connected, reported } = await deviceOf(call, id)
      const found = reported?.functions.find(
        (entry) => entry.name === name && entry.version === version && (entry.alias ?? PRODUCTION) === alias,
      )
      if (found?.state === 'committed') {
        show(id, printer.paint('green', `${what} runs`))
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

export function exitOf(outcomes: readonly DeviceOutcome[]): Exit {
  if (outcomes.some(({ state }) => state === 'rolledback')) return Exit.failed
  return outcomes.some(({ state }) => state === 'waiting') ? Exit.tryLater : Exit.ok
}

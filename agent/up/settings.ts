/** Where `dunlin up` puts things, and which ports it takes. */
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Listen } from '../../config/listen.ts'
import { DEVICE_ID_PATTERN } from '../../config/wire.ts'
import { readFileIfThere } from '../../runtime/base/durable-file.ts'
import { CONTEXT_FILE } from '../cli/home.ts'
import { ENROLMENT_FILE, identityDirectory } from '../identity/identity.ts'
import { agentSocket } from '../local-api/socket-path.ts'
import { findPort, listenText, parseListen } from './free-port.ts'

export interface UpOptions {
  readonly apiListen?: string
  readonly gatewayListen?: string
  readonly brokerListen?: string
  readonly httpListen?: string
  readonly example?: boolean
}

export interface Ports {
  readonly api: Listen
  readonly gateway: Listen
  readonly broker: Listen
  readonly http: Listen
}

const DEFAULTS: Readonly<Record<keyof Ports, string>> = {
  api: '127.0.0.1:8443',
  gateway: '127.0.0.1:8883',
  broker: '127.0.0.1:1883',
  http: '127.0.0.1:8080',
}

export const foldersOf = (home: string) => ({
  hub: join(home, 'hub'),
  agent: join(home, 'agent'),
  publisher: join(home, 'publisher'),
  logs: join(home, 'logs'),
  claimToken: join(home, 'claim-token'),
  context: join(home, CONTEXT_FILE),
})
export type Folders = ReturnType<typeof foldersOf>

export const isEnrolled = (folders: Folders): boolean => existsSync(join(identityDirectory(folders.agent), ENROLMENT_FILE))

/**
 * What the user names must be free. A device remembers where its hub is, so the hub's ports stay as they were at the first start.
 * All others: the last one used, else the default, else the next free one.
 */
export async function choosePorts(folders: Folders, options: UpOptions): Promise<Ports> {
  const recorded = recordedPorts(folders)
  const taken = new Set<number>()
  const choose = async (name: keyof Ports, given: string | undefined): Promise<Listen> => {
    const setting = `--${name}-listen`
    const isKnownToDevices = (name === 'api' || name === 'gateway') && recorded[name] !== undefined
    const listen = parseListen(given ?? recorded[name] ?? DEFAULTS[name], setting)
    const found = await findPort({ setting, listen, isFixed: given !== undefined || isKnownToDevices }, taken)
    taken.add(found.port)
    return found
  }
  return {
    api: await choose('api', options.apiListen),
    gateway: await choose('gateway', options.gatewayListen),
    broker: await choose('broker', options.brokerListen),
    http: await choose('http', options.httpListen),
  }
}

export function contextText(folders: Folders, ports: Ports): string {
  const { api, gateway, broker, http } = ports
  const host = ['0.0.0.0', '::'].includes(api.host) ? '127.0.0.1' : api.host
  const context = {
    hub: {
      url: `https://${listenText({ host, port: api.port })}`,
      caFile: join(folders.hub, 'ca', 'ca.pem'),
      adminTokenFile: join(folders.hub, 'admin-token'),
    },
    agent: { socket: agentSocket(folders.agent) },
    publisher: folders.publisher,
    listen: { api: listenText(api), gateway: listenText(gateway), broker: listenText(broker), http: listenText(http) },
  }
  return `${JSON.stringify(context, null, 2)}\n`
}

function recordedPorts({ context }: Folders): Partial<Record<keyof Ports, string>> {
  try {
    const { listen } = JSON.parse(readFileIfThere(context) ?? '{}') as { listen?: Partial<Record<keyof Ports, unknown>> }
    return Object.fromEntries(Object.entries(listen ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  } catch {
    // Written anew in a moment.
    return {}
  }
}

/** The host's name as a device id: `Pi_4.local` is `pi-4`. */
export function deviceName(host = hostname()): string {
  const name = host
    .toLowerCase()
    .replace(/\..*$/, '')
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 63)
    .replace(/^-+|-+$/g, '')
  return DEVICE_ID_PATTERN.test(name) ? name : 'device'
}

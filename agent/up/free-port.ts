/** Ports for `dunlin up`: a default that is taken becomes the next free one, one that a person named must be free. */
import { createServer, type AddressInfo } from 'node:net'
import { InputError, codeOf } from '../../runtime/base/errors.ts'
import type { Listen } from '../../config/listen.ts'

/** So many ports are tried before giving up. */
const TRIES = 100

export interface PortWish {
  /** As the user would set it: `--broker-listen`. */
  readonly setting: string
  readonly listen: Listen
  /** Named by the user, or known to others already: only this one will do. */
  readonly isFixed: boolean
}

/** Throws InputError 'port-taken'. `avoid`: ports that were given out a moment ago. */
export async function findPort({ setting, listen, isFixed }: PortWish, avoid: ReadonlySet<number> = new Set()): Promise<Listen> {
  const { host } = listen
  if (listen.port === 0) return { host, port: await anyPort(host) }
  const reason = await whyNot(listen)
  if (reason === undefined && !avoid.has(listen.port)) return listen
  if (!isFixed) {
    for (let port = listen.port + 1; port <= Math.min(65_535, listen.port + TRIES); port++) {
      if (!avoid.has(port) && (await whyNot({ host, port })) === undefined) return { host, port }
    }
  }
  throw new InputError('port-taken', `Cannot listen on ${host}:${listen.port}: ${reason ?? 'it is used here already'}`, {
    hint: `stop what listens there, or set another with ${setting} <host:port>`,
  })
}

async function whyNot(listen: Listen): Promise<string | undefined> {
  try {
    await portOf(listen)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/** A port that the kernel picks; port 0 is asked for where any will do. */
async function anyPort(host: string): Promise<number> {
  return await portOf({ host, port: 0 })
}

/** Listens for a moment. */
async function portOf({ host, port }: Listen): Promise<number> {
  const server = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, exclusive: true }, resolve)
    })
    return (server.address() as AddressInfo).port
  } finally {
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
}

function reasonOf(error: unknown): string {
  const code = codeOf(error)
  if (code === 'EADDRINUSE') return 'another program listens there'
  if (code === 'EACCES') return 'this user may not use that port'
  return code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' ? 'this machine does not have that address' : String(error)
}

/** `127.0.0.1:1883`, `[::1]:1883`, `:1883`, `1883`. Throws InputError. */
export function parseListen(text: string, setting: string): Listen {
  const [, host, port] = /^(?:(.*):)?(\d{1,5})$/.exec(text) ?? []
  if (port === undefined || Number(port) > 65_535) throw new InputError('usage', `Cannot read ${setting} "${text}": expected host:port`)
  return { host: host?.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
}

export const listenText = ({ host, port }: Listen): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

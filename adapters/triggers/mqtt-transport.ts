import { readFile } from 'node:fs/promises'
import net from 'node:net'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import type { OutsideBroker } from '../../config/triggers/outside-broker.ts'
import { InputError } from '../../runtime/base/errors.ts'

export interface BrokerFiles {
  readonly ca: Buffer | undefined
  readonly cert: Buffer | undefined
  readonly key: Buffer | undefined
}

/** Read for each connection: certificates are renewed while the agent runs. Rejects with 'mqtt-file'. */
export async function readBrokerFiles({ caFile, certFile, keyFile }: OutsideBroker): Promise<BrokerFiles> {
  const [ca, cert, key] = await Promise.all([caFile, certFile, keyFile].map(async (file) => (file === null ? undefined : readGiven(file))))
  return { ca, cert, key }
}

export async function readGiven(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new InputError('mqtt-file', `Cannot read ${file} for the outside broker`, { cause: error })
  }
}

/** A connection that is being made; what is written meanwhile waits. It errors when it cannot be made. */
export async function openTransport(url: string, files: BrokerFiles, broker: OutsideBroker): Promise<Duplex> {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const servername = broker.servername ?? (net.isIP(host) === 0 ? host : undefined)
  const secure = {
    ...files,
    ...(servername === undefined ? {} : { servername }),
    ...(broker.alpn.length > 0 ? { ALPNProtocols: [...broker.alpn] } : {}),
  }
  if (protocol === 'mqtt:') return withoutDelay(net.connect({ host, port: Number(port || 1883) }))
  if (protocol === 'mqtts:') return withoutDelay(tls.connect({ host, port: Number(port || 8883), ...secure }))
  const { createWebSocketStream, WebSocket } = await import('ws')
  const socket = new WebSocket(url, ['mqtt'], {
    ...secure,
    perMessageDeflate: false,
    maxPayload: broker.messageBytesMax + MQTT_OVERHEAD_BYTES,
  })
  return createWebSocketStream(socket)
}

/** Header, topic and properties of a message beside its payload. */
const MQTT_OVERHEAD_BYTES = 256 * 1024

/** Without it each small packet behind another waits 40 ms for the peer's delayed ACK. */
function withoutDelay(socket: net.Socket): net.Socket {
  return socket.setNoDelay(true)
}

import { readFileSync } from 'node:fs'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls'
import type { BrokerConfig } from '../../config/agent-config.ts'
import { codeOf, ResourceError } from '../../runtime/base/errors.ts'
import { isLoopback } from './names.ts'

/** A client that was gone without a word is noticed by these probes, also one that asked for no keepalive. */
const PROBE_AFTER_MS = 60_000

export interface ListenerOptions {
  readonly listen: { readonly host: string; readonly port: number }
  readonly setting: string
  readonly tls: TlsOptions | null
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
  readonly handshakeTimeoutMs: number
  onConnection(socket: Socket | TLSSocket, address: string): void
  onRefused(address: string, reason: string): void
}

/** Accepts connections up to the caps, in all and per address (the machine itself excepted), over TCP or TLS. */
export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #perAddress = new Map<string, number>()

  constructor(options: ListenerOptions) {
    this.#options = options
    const { tls } = options
    if (tls === null) {
      this.#server = createTcpServer({ noDelay: true }, (socket) => this.#greet(socket))
    } else {
      // Without a CA of ours any public CA's certificate would count as verified: then none is asked for.
      const defaults: TlsOptions = {
        requestCert: tls.ca !== undefined,
        rejectUnauthorized: false,
        handshakeTimeout: options.handshakeTimeoutMs,
      }
      const server = createTlsServer({ ...defaults, ...tls }, (socket) => this.#greet(socket))
      server.on('tlsClientError', (error, socket) => options.onRefused(socket.remoteAddress ?? '', `TLS: ${error.message}`))
      this.#server = server
    }
    // For TLS this is the raw socket, before the handshake: the caps hold there already.
    this.#server.prependListener('connection', (socket: Socket) => this.#admit(socket))
    this.#server.maxConnections = options.connectionsMax
    this.#server.on('drop', (data) => options.onRefused(data?.remoteAddress ?? '', 'too many connections'))
  }

  get address(): { host: string; port: number } {
    const { address, port } = this.#server.address() as AddressInfo
    return { host: address, port }
  }

  get connections(): number {
    return this.#sockets.size
  }

  open(): Promise<void> {
    const { listen, setting } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => reject(listenError(error, listen, setting)))
      this.#server.listen({ host: listen.host, port: listen.port }, () => {
        this.#server.removeAllListeners('error')
        this.#server.on('error', (error) => this.#options.onRefused('', error.message))
        resolve()
      })
    })
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.once('close', resolve)
      if (this.#server.listening) this.#server.close()
      else if (this.#sockets.size === 0) resolve()
    })
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  #admit(socket: Socket): void {
    socket.on('error', () => {})
    const address = socket.remoteAddress ?? ''
    const count = (this.#perAddress.get(address) ?? 0) + 1
    if (address === '' || (!isLoopback(address) && count > this.#options.connectionsPerAddressMax)) {
      socket.destroy()
      this.#options.onRefused(address, 'too many connections from one address')
      return
    }
    this.#sockets.add(socket)
    this.#perAddress.set(address, count)
    socket.setKeepAlive(true, PROBE_AFTER_MS)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      const left = this.#perAddress.get(address)! - 1
      if (left === 0) this.#perAddress.delete(address)
      else this.#perAddress.set(address, left)
    })
  }

  #greet(socket: Socket): void {
    if (socket.destroyed) return
    this.#options.onConnection(socket, socket.remoteAddress ?? '')
  }
}

/** The files of broker.tls. A client certificate is trusted only where a CA is given. */
export function readTls(tls: BrokerConfig['tls']): TlsOptions | null {
  if (tls === null) return null
  try {
    return {
      cert: readFileSync(tls.certFile),
      key: readFileSync(tls.keyFile),
      ...(tls.caFile === null ? {} : { ca: readFileSync(tls.caFile) }),
    }
  } catch (error) {
    throw new ResourceError('tls-unreadable', 'Cannot read the files of broker.tls', { cause: error })
  }
}

function listenError(error: Error, { host, port }: { host: string; port: number }, setting: string): ResourceError {
  const where = `${host}:${port} (${setting})`
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new ResourceError('port-taken', `Cannot listen on ${where}: another program has port ${port}`, {
        cause: error,
        hint: `stop that program, or set ${setting} to another port`,
      })
    case 'EACCES':
      return new ResourceError('port-forbidden', `Cannot listen on ${where}: not permitted`, {
        cause: error,
        hint: `set ${setting} to a port over 1023`,
      })
    default:
      return new ResourceError('listen-failed', `Cannot listen on ${where}`, { cause: error, hint: `check ${setting}` })
  }
}

import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { WebSocketServer, type WebSocket } from 'ws'
import type { WebSocketConfig } from '../../config/triggers/http-websocket.ts'
import { uuidText } from '../../runtime/base/uuid.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { HeadWriter } from '../../runtime/event/head.ts'
import { AT, Tag } from '../../runtime/event/record.ts'
import type { TriggerSink } from '../../runtime/functions/trigger.ts'
import { refuseUpgrade, type HttpCall } from './http-listener.ts'
import { addRequest } from './http-request.ts'

/** Close codes of RFC 6455 7.4. */
const GOING_AWAY = 1001
const TRY_AGAIN_LATER = 1013
/** What a client has sent and no handler has taken; then its connection is not read until there is room. */
const WAITING_MAX = 16
/** A client that does not answer our close frame is cut off. */
const CLOSE_GRACE_MS = 1_000

const TEXT_TYPE = /^(text\/|application\/(.+\+)?(json|xml)\b)/i

/**
 * The WebSocket connections of one http trigger. Each message is an event (type `websocket`); what the handler answers goes back as
 * a message. One event of a connection is on its way at a time, so messages and answers keep their order.
 */
export class WebSocketConnections {
  readonly #config: WebSocketConfig
  readonly #sink: TriggerSink
  readonly #isDurable: boolean
  readonly #stallTimeoutMs: number
  readonly #server: WebSocketServer
  readonly #silent = new Set<WebSocket>()
  #ping: NodeJS.Timeout | undefined

  constructor(config: WebSocketConfig, sink: TriggerSink, isDurable: boolean, stallTimeoutMs: number) {
    this.#config = config
    this.#sink = sink
    this.#isDurable = isDurable
    this.#stallTimeoutMs = stallTimeoutMs
    // Compression costs each connection memory that a peer decides on.
    this.#server = new WebSocketServer({ noServer: true, maxPayload: config.messageBytesMax, perMessageDeflate: false })
  }

  get count(): number {
    return this.#server.clients.size
  }

  accept(call: HttpCall, socket: Duplex, firstBytes: Buffer): void {
    const { request, headers } = call
    if (!this.#isOriginAllowed(headers.get('origin'), headers.get('host'))) {
      return refuseUpgrade(socket, {
        status: 403,
        text: 'Connections from this origin are not taken; see attributes.websocket.allowedOrigins',
      })
    }
    if (this.count >= this.#config.connectionsMax) {
      return refuseUpgrade(socket, { status: 503, text: `There are ${this.count} connections, the most there may be` }, ['retry-after: 1'])
    }
    this.#ping ??= setInterval(() => this.#pingAll(), this.#config.pingIntervalMs)
    this.#server.handleUpgrade(request, socket, firstBytes, (client) => this.#serve(client, call))
  }

  /** Says goodbye to all and takes no new ones. */
  async close(): Promise<void> {
    clearInterval(this.#ping)
    this.#ping = undefined
    const clients = [...this.#server.clients]
    const closed = Promise.all(clients.map((client) => new Promise<void>((resolve) => client.once('close', () => resolve()))))
    for (const client of clients) client.close(GOING_AWAY)
    const timer = setTimeout(() => {
      for (const client of clients) client.terminate()
    }, CLOSE_GRACE_MS)
    await closed
    clearTimeout(timer)
  }

  #serve(client: WebSocket, call: HttpCall): void {
    const waiting: { readonly body: Buffer; readonly isBinary: boolean }[] = []
    const head = headOf(call)
    let isBusy = false
    const next = (): void => {
      if (isBusy || client.readyState !== client.OPEN) return
      const message = waiting.shift()
      if (!message) return
      if (client.isPaused && waiting.length < WAITING_MAX / 2) client.resume()
      isBusy = true
      this.#handle(client, head, message.body, message.isBinary, () => {
        isBusy = false
        next()
      })
    }
    client.on('message', (data, isBinary) => {
      waiting.push({ body: bytesOf(data), isBinary })
      if (waiting.length >= WAITING_MAX) client.pause()
      next()
    })
    client.on('pong', () => this.#silent.delete(client))
    client.on('close', () => this.#silent.delete(client))
    // ws closes with 1009 (too large), 1007 (no UTF-8) or 1002 by itself.
    client.on('error', () => {})
  }

  #handle(client: WebSocket, head: Uint8Array, body: Buffer, isBinary: boolean, done: () => void): void {
    const { events } = this.#sink
    events.head.append(head).add(Tag.contentType, isBinary ? 'application/octet-stream' : 'text/plain; charset=utf-8')
    const record = events.finish(body)
    if (!this.#isDurable) return this.#sink.invoke(record, (answer) => this.#answer(client, answer, done))
    this.#sink.accept(record, (error) => {
      if (!error) return this.#send(client, JSON.stringify({ id: uuidText(record, AT.id) }), done)
      // Not kept: the client has to send it again, on a new connection.
      client.close(TRY_AGAIN_LATER, error.message.slice(0, 100))
      done()
    })
  }

  /** A failure is told as JSON; nothing returned is nothing sent. */
  #answer(client: WebSocket, { status, error, body, contentType }: Answer, done: () => void): void {
    if (error !== undefined && (body.length === 0 || body.equals(Buffer.from(error)))) {
      return this.#send(client, JSON.stringify({ status, error }), done)
    }
    if (body.length === 0) return done()
    this.#send(client, TEXT_TYPE.test(contentType ?? '') ? body.toString('utf8') : body, done)
  }

  /** The next message is handled when this one has left; a client that takes nothing is cut off. */
  #send(client: WebSocket, message: string | Buffer, done: () => void): void {
    if (client.readyState !== client.OPEN) return done()
    const timer = setTimeout(() => client.terminate(), this.#stallTimeoutMs)
    client.send(message, () => {
      clearTimeout(timer)
      done()
    })
  }

  #pingAll(): void {
    for (const client of this.#server.clients) {
      if (this.#silent.has(client)) client.terminate()
      else {
        this.#silent.add(client)
        client.ping()
      }
    }
    if (this.count > 0) return
    clearInterval(this.#ping)
    this.#ping = undefined
  }

  /** Browsers say whose page it is, and let any page connect; other clients say nothing. */
  #isOriginAllowed(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined) return true
    const { allowedOrigins } = this.#config
    if (allowedOrigins.includes('*') || allowedOrigins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase())) return true
    return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase()
  }
}

/** What all events of a connection have in common. */
function headOf({ target, headers, parameters }: HttpCall): Uint8Array {
  const head = new HeadWriter()
  addRequest(head, 'GET', target, headers, [...(parameters ?? []), ['connectionId', randomUUID()]])
  head.add(Tag.type, 'websocket')
  return Uint8Array.from(head.bytes())
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.isBuffer(data) ? data : Buffer.from(data)
}

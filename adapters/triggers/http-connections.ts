import type { Server } from 'node:http'
import type { Socket } from 'node:net'

/** Said in plain text: a client over the limit is told so before a parser is made for it. */
const REFUSAL = 'HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n'

/** Counts the connections of each address and refuses those beyond the limit. `refused`: those, and those over the server's own limit. */
export class ConnectionCounter {
  readonly #byAddress = new Map<string, number>()
  readonly #perAddressMax: number
  readonly #onRefused: () => void

  #open = 0

  constructor(perAddressMax: number, onRefused: () => void) {
    this.#perAddressMax = perAddressMax
    this.#onRefused = onRefused
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#open
  }

  /** In front of the server's own listeners; `isTls`: the socket speaks TLS, so nothing readable can be said. */
  watch(server: Server, isTls: boolean): void {
    server.on('drop', () => this.#onRefused())
    server.prependListener('connection', (socket: Socket) => {
      const address = socket.remoteAddress ?? ''
      const count = (this.#byAddress.get(address) ?? 0) + 1
      this.#byAddress.set(address, count)
      this.#open++
      socket.once('close', () => {
        this.#open--
        const left = this.#byAddress.get(address)! - 1
        if (left > 0) this.#byAddress.set(address, left)
        else this.#byAddress.delete(address)
      })
      if (count <= this.#perAddressMax) return
      this.#onRefused()
      socket.on('error', () => {})
      if (isTls) socket.destroy()
      else socket.end(REFUSAL, () => socket.destroy())
    })
  }
}

/**
 * Cuts off connections whose client takes nothing of what is on its way to it. Whatever was written, small answers in a row too, must
 * move within `stallTimeoutMs`; it is looked at twice in this time, so an end comes half of it late at the most.
 */
export class StallWatch {
  readonly #quiet = new Map<Socket, { taken: number; looks: number }>()
  #timer: NodeJS.Timeout | undefined

  /** `event` brings the sockets that answers are written to. */
  start(server: Server, event: 'connection' | 'secureConnection', stallTimeoutMs: number): void {
    server.on(event, (socket: Socket) => {
      this.#quiet.set(socket, { taken: 0, looks: 0 })
      socket.once('close', () => this.#quiet.delete(socket))
    })
    this.#timer = setInterval(() => this.#look(), stallTimeoutMs / 2).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    for (const [socket, seen] of this.#quiet) {
      const taken = socket.bytesWritten - socket.writableLength
      if (socket.writableLength === 0 || taken !== seen.taken) {
        seen.taken = taken
        seen.looks = 0
      } else if (++seen.looks >= 2) socket.destroy()
    }
  }
}

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

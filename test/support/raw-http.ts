/** HTTP byte by byte: what well-behaved clients cannot send. */
import { connect, type Socket } from 'node:net'

export interface RawClient {
  readonly socket: Socket
  /** What came so far, as latin1. */
  readonly received: () => string
  /** Resolves with all that came when the server has closed the connection, however it did. */
  readonly closed: Promise<string>
  /** Resolves when this text has come. */
  until(text: string): Promise<string>
}

export function openRaw(port: number, host = '127.0.0.1'): RawClient {
  const socket = connect({ port, host })
  let received = ''
  let waiting: (() => void)[] = []
  const notify = () => {
    const now = waiting
    waiting = []
    for (const resolve of now) resolve()
  }
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
    notify()
  })
  // A server may reset whom it refuses; the answer counts.
  socket.on('error', () => {})
  const closed = new Promise<string>((resolve) => socket.on('close', () => resolve(received)))
  void closed.then(notify)
  return {
    socket,
    received: () => received,
    closed,
    async until(text) {
      while (!received.includes(text)) {
        if (socket.destroyed)
          throw new Error(`The connection ended before ${JSON.stringify(text)} came: ${JSON.stringify(received.slice(0, 500))}`)
        await new Promise<void>((resolve) => waiting.push(resolve))
      }
      return received
    },
  }
}

/** Sends bytes and gives what came until the server closed; add `connection: close` to a request that is good. */
export async function sendRaw(port: number, bytes: string): Promise<string> {
  const client = openRaw(port)
  client.socket.write(bytes, 'latin1')
  try {
    return await client.closed
  } finally {
    client.socket.destroy()
  }
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createConnection, type Socket } from 'node:net'
import path from 'node:path'

/** A serial line: a pty under `port`, and this side of it. Needs socat. Plug it in and pull it out as often as you like. */
export class SerialLine {
  readonly port: string
  received = ''
  #child: ChildProcess | undefined
  #socket: Socket | undefined
  #onData: () => void = () => {}

  constructor(directory: string) {
    this.port = path.join(directory, 'tty')
  }

  /** Resolves when both ends are there. */
  async plugIn(): Promise<void> {
    const listen = `${this.port}.sock`
    this.#child = spawn('socat', [`UNIX-LISTEN:${listen},unlink-early`, `PTY,raw,echo=0,link=${this.port}`], { stdio: 'ignore' })
    this.#socket = await connected(listen)
    this.#socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      this.#onData()
    })
    this.#socket.on('error', () => {})
    while (!existsSync(this.port)) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** Resolves when the bytes have left this process; a slow reader holds it up. */
  send(bytes: string | Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket!.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes, (error) => (error ? reject(error) : resolve()))
    })
  }

  async answered(count: number): Promise<string> {
    while (this.received.length < count) await new Promise<void>((resolve) => (this.#onData = resolve))
    return this.received
  }

  async pullOut(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    this.#socket?.destroy()
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill()
    await exited
  }
}

/** socat's socket is there a moment before it listens. */
async function connected(path: string): Promise<Socket> {
  for (;;) {
    const socket = createConnection(path)
    const isConnected = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true))
      socket.once('error', () => resolve(false))
    })
    if (isConnected) return socket
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

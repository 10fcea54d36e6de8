import type { SerialPort } from 'serialport'
import { ceilingMs } from '../../runtime/base/backoff.ts'
import type { Logger } from '../../runtime/base/log.ts'
import type { TriggerOf } from './registry.ts'

/** An unplugged device is back within five seconds of being plugged in. */
const REOPEN = { firstMs: 250, maxMs: 4_000 }
/** Bytes read at once. */
const READ_BYTES = 16 * 1024

export interface OpenPortOptions {
  readonly config: TriggerOf<'serial'>
  readonly logger: Logger
  readonly onData: (chunk: Buffer) => void
  readonly onClosed: () => void
}

/**
 * A serial port that is opened again whenever it has gone: a plug that was pulled is no reason to end.
 * closed -> opening -> open -> (unplugged) -> waiting -> opening ... -> stopped
 */
export class ReopenedPort {
  readonly #options: OpenPortOptions
  #port: SerialPort | undefined
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #isStopped = false
  #isHeld = false

  constructor(options: OpenPortOptions) {
    this.#options = options
  }

  get isOpen(): boolean {
    return this.#port?.isOpen === true
  }

  /** Resolves after the first try, whatever came of it. */
  async open(): Promise<void> {
    const { SerialPort: Port } = await import('serialport')
    const { path, baudRate, dataBits, parity, stopBits, rtscts } = this.#options.config
    if (this.#isStopped) return
    const port = new Port({ path, baudRate, dataBits, parity, stopBits, rtscts, autoOpen: false, highWaterMark: READ_BYTES })
    const error = await new Promise<Error | null>((resolve) => port.open(resolve))
    if (error) return this.#openLater(error)
    if (this.#isStopped) return closed(port)
    this.#options.logger.info({ port: path }, 'the port is open')
    this.#failures = 0
    this.#port = port
    port.on('data', this.#options.onData)
    if (this.#isHeld) port.pause()
    // An unplugged port says so by an error, by its closing, or by both.
    port.on('error', (problem) => this.#lost(port, problem))
    port.on('close', (problem: Error | null) => this.#lost(port, problem))
  }

  /** Reads no more until `release`: what comes meanwhile waits in the kernel, as far as it goes. */
  hold(): void {
    this.#isHeld = true
    this.#port?.pause()
  }

  release(): void {
    this.#isHeld = false
    this.#port?.resume()
  }

  /** False: the port is not open, and nothing was written. */
  write(bytes: Buffer): boolean {
    if (!this.isOpen) return false
    this.#port!.write(bytes)
    return true
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#timer)
    const port = this.#port
    this.#port = undefined
    if (port) await closed(port)
  }

  #lost(port: SerialPort, error: Error | null): void {
    if (port !== this.#port) return
    this.#port = undefined
    void closed(port)
    this.#options.onClosed()
    this.#openLater(error ?? new Error('the port was closed'))
  }

  #openLater(error: Error): void {
    if (this.#isStopped) return
    const { logger, config } = this.#options
    const waitMs = ceilingMs(++this.#failures, REOPEN)
    const fields = { port: config.path, error: error.message, retryInMs: waitMs }
    if (this.#failures === 1) logger.warn(fields, 'the port is not there, or has gone: it is opened as soon as it is')
    else logger.debug(fields, 'the port is not there')
    this.#timer = setTimeout(() => {
      this.open().catch((problem: Error) => this.#openLater(problem))
    }, waitMs)
  }
}

function closed(port: SerialPort): Promise<void> {
  port.removeAllListeners('data')
  return new Promise((resolve) => {
    if (!port.isOpen) return resolve()
    port.close(() => resolve())
  })
}

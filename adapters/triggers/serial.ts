import { Tag } from '../../runtime/event/record.ts'
import type { Trigger, TriggerContext } from '../../runtime/functions/trigger.ts'
import type { TriggerOf } from './registry.ts'
import type { Framer } from './serial-framer.ts'
import { makeFramer } from './serial-framers.ts'
import { ReopenedPort } from './serial-port.ts'

/** Frames that wait for their commit; beyond, the port is not read. */
const UNCOMMITTED_MAX = 256
/** A frame that was not accepted (disk full) is offered again after this time. */
const RETRY_MS = 1_000
/** A line that is silent for so long inside a frame has lost the rest of it. */
const PAUSE_MS = 500
/** Garbage is told of once in this time. */
const TELL_MS = 60_000

/** Frames from a serial port become events. A port keeps nothing: what cannot be stored at once waits in memory, and then the port waits. */
export function openSerialTrigger(config: TriggerOf<'serial'>, context: TriggerContext): Trigger {
  let run: SerialRun | undefined
  return {
    async start() {
      if (run) return
      run = new SerialRun(config, context)
      await run.start()
    },
    async stop() {
      const running = run
      run = undefined
      await running?.stop()
    },
  }
}

class SerialRun {
  readonly #config: TriggerOf<'serial'>
  readonly #context: TriggerContext
  readonly #port: ReopenedPort
  readonly #framer: Framer
  readonly #pauseMs: number
  /** Cut and not yet offered, oldest first: at most what one read holds. */
  #frames: Buffer[] = []
  #uncommitted = 0
  /** At the front of #frames. */
  #refusals = 0
  #retryTimer: NodeJS.Timeout | undefined
  #pauseTimer: NodeJS.Timeout | undefined
  #toldBytes = 0
  #toldMs = -Infinity
  #isRefusalTold = false
  #isHeld = false
  #isStopped = false

  constructor(config: TriggerOf<'serial'>, context: TriggerContext) {
    this.#config = config
    this.#context = context
    this.#pauseMs = config.framing.kind === 'idle' ? config.framing.ms : PAUSE_MS
    this.#framer = makeFramer(config.framing, config.maxFrameBytes, (frame) => this.#frames.push(frame))
    this.#port = new ReopenedPort({
      config,
      logger: context.logger,
      onData: (chunk) => this.#take(chunk),
      onClosed: () => this.#framer.reset(),
    })
  }

  start(): Promise<void> {
    return this.#port.open()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#pauseTimer)
    await this.#port.stop()
    clearTimeout(this.#retryTimer)
    if (this.#frames.length > 0) this.#context.logger.warn({ frames: this.#frames.length }, 'frames that could not be stored are lost')
    this.#frames = []
  }

  #take(chunk: Buffer): void {
    clearTimeout(this.#pauseTimer)
    this.#framer.push(chunk)
    this.#offer()
    this.#tellDropped()
    if (!this.#isHeld) this.#pauseTimer = setTimeout(this.#paused, this.#pauseMs)
  }

  readonly #paused = (): void => {
    this.#framer.pause()
    this.#offer()
  }

  #offer(): void {
    while (this.#frames.length > 0 && this.#uncommitted < UNCOMMITTED_MAX && !this.#retryTimer && !this.#isStopped)
      this.#give(this.#frames.shift()!)
    const isHeld = this.#frames.length > 0
    if (isHeld === this.#isHeld) return
    this.#isHeld = isHeld
    if (isHeld) this.#port.hold()
    else this.#port.release()
  }

  #give(frame: Buffer): void {
    const { sink } = this.#context
    sink.events.head.add(Tag.topic, this.#config.name).add(Tag.path, this.#config.path)
    const record = sink.events.finish(frame)
    if (this.#config.delivery === 'durable') {
      this.#uncommitted++
      return sink.accept(record, (error) => {
        this.#uncommitted--
        if (error) this.#refused(frame, error)
        else this.#isRefusalTold = false
        if (this.#frames.length > 0) this.#offer()
      })
    }
    if (!this.#config.reply) return sink.invoke(record, null)
    this.#uncommitted++
    sink.invoke(record, ({ status, body, error }) => {
      this.#uncommitted--
      if (status < 400 && body.length > 0 && !this.#isStopped && !this.#port.write(body))
        this.#context.logger.warn({ bytes: body.length }, 'an answer was not written: the port is closed')
      else if (status >= 400) this.#context.logger.warn({ status, error }, 'a frame was not answered')
      if (this.#frames.length > 0) this.#offer()
    })
  }

  /** Waits, and with it all that came after: the order stays. */
  #refused(frame: Buffer, error: Error): void {
    if (this.#isStopped)
      return this.#context.logger.warn({ error: error.message, bytes: frame.length }, 'a frame could not be stored and is lost')
    if (!this.#isRefusalTold)
      this.#context.logger.warn({ error: error.message }, 'a frame was not accepted: it is offered again, and the port waits')
    this.#isRefusalTold = true
    // Refusals come in the order of the frames: each goes behind those before it.
    this.#frames.splice(this.#refusals++, 0, frame)
    this.#retryTimer ??= setTimeout(() => {
      this.#retryTimer = undefined
      this.#refusals = 0
      this.#offer()
    }, RETRY_MS)
  }

  #tellDropped(): void {
    const { droppedBytes } = this.#framer.counters
    const now = performance.now()
    if (droppedBytes === this.#toldBytes || now - this.#toldMs < TELL_MS) return
    this.#context.logger.warn({ bytes: droppedBytes - this.#toldBytes, total: droppedBytes }, 'bytes of no frame were dropped')
    this.#toldBytes = droppedBytes
    this.#toldMs = now
  }
}

/**
 * Streams -> hub. Rows stay in the store until the hub has confirmed them; the pump only remembers how far it has read, and
 * forgets even that when the link ends: what was not confirmed is sent again, and the hub keeps each (device, stream, epoch,
 * seq) once. So memory is bounded by the window, and a crash at any moment loses nothing.
 *
 * A session lives from a connect to its end. Rows of earlier sessions that come back late from the store are dropped.
 * If a whole session passes without one confirmation, the next one waits (full jitter): a frame that makes the hub cut the link
 * must not turn into a loop at full speed. Nothing polls: an idle pump has no timers.
 */
import { FRAME_ROW_HEADER_BYTES, FRAME_UNPACKED_BYTES_MAX, topics, WIRE_PAYLOAD_BYTES_MAX } from '../../config/wire.ts'
import { type BackoffOptions, fullJitterMs, sleep } from '../../runtime/base/backoff.ts'
import { describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { encodeFrame } from '../../runtime/event/frame.ts'
import { AT, Flag } from '../../runtime/event/record.ts'
import type { Store, StreamRow } from '../../runtime/store/store.ts'
import { isLinkGone, type Link } from '../link/hub-link.ts'
import { type Lane, type LaneSettings, nextTurn, type StreamProgress, type Turn } from './lanes.ts'

export interface ExportSettings extends LaneSettings {
  readonly batchRowsMax: number
  /** Before compression. */
  readonly batchBytesMax: number
  /** Backlog rows in a second at the most; 0: as many as the link takes. */
  readonly backlogRowsPerSecond: number
  /** How long a row may wait for others to share its frame. */
  readonly lingerMs: number
  /** After a session without a single confirmation. */
  readonly fruitlessBackoff: BackoffOptions
}

export const EXPORT_DEFAULTS: ExportSettings = {
  inFlightFramesMax: 8,
  batchRowsMax: 1000,
  batchBytesMax: 512 * 1024,
  liveShare: 0.25,
  backlogRowsPerSecond: 0,
  lingerMs: 20,
  fruitlessBackoff: { firstMs: 1000, maxMs: 60_000 },
}

export interface ExportPumpOptions {
  readonly store: Pick<Store, 'ledger' | 'readStream' | 'releaseStream'>
  readonly link: Link
  readonly device: string
  readonly logger: Logger
  readonly settings?: Partial<ExportSettings>
  readonly random?: () => number
  /** Rows were confirmed by the hub and released in the store. */
  readonly onReleased?: (stream: string, rows: number) => void
}

export interface ExportStats {
  readonly frames: number
  readonly rows: number
  readonly bytes: number
  readonly inFlight: number
}

interface Session {
  readonly ending: AbortController
  streams: StreamProgress[]
  readonly inFlight: { live: number; backlog: number }
  isReady: boolean
  isReading: boolean
  confirmed: number
  sent: number
  /** performance.now() from which the backlog may go on. */
  backlogFromMs: number
  readonly lingering: Set<StreamProgress>
  lingerTimer: NodeJS.Timeout | undefined
  pauseTimer: NodeJS.Timeout | undefined
}

const SEQ_MAX = Number.MAX_SAFE_INTEGER

export class ExportPump {
  readonly #options: ExportPumpOptions
  readonly #settings: ExportSettings
  readonly #known = new Map<number, { name: string; epoch: string }>()
  readonly #releasing = new Set<Promise<void>>()
  #session: Session | undefined
  #stopListening: (() => void) | undefined
  #fruitless = 0
  #frames = 0
  #rows = 0
  #bytes = 0

  constructor(options: ExportPumpOptions) {
    this.#options = options
    this.#settings = { ...EXPORT_DEFAULTS, ...options.settings }
  }

  get stats(): ExportStats {
    const { live = 0, backlog = 0 } = this.#session?.inFlight ?? {}
    return { frames: this.#frames, rows: this.#rows, bytes: this.#bytes, inFlight: live + backlog }
  }

  start(): void {
    this.#stopListening ??= this.#options.link.listen({ onOnline: () => this.#begin(), onOffline: () => this.#end() })
  }

  /** At any time. What waits in the stream already goes too: live when the link is up, as nothing of it was known at the connect. */
  addStream(id: number, name: string, epoch: string): void {
    if (this.#known.has(id)) return
    this.#known.set(id, { name, epoch })
    const session = this.#session
    if (!session?.isReady) return
    session.streams.push({ id, name, epoch, backlogNext: 1, backlogLast: 0, liveNext: 1, hasLive: true })
    this.#pump(session)
  }

  /** Rows of the stream were committed. Cheap: called after each commit. */
  notify(stream: number): void {
    const session = this.#session
    if (!session?.isReady) return
    const progress = session.streams.find(({ id }) => id === stream)
    if (progress && !progress.hasLive) this.#linger(session, progress)
  }

  /** Stops sending; what is not confirmed stays in the store. */
  async close(): Promise<void> {
    this.#stopListening?.()
    this.#end()
    await Promise.all(this.#releasing)
  }

  /** The stream is read after the linger, together with what comes until then. */
  #linger(session: Session, stream: StreamProgress): void {
    session.lingering.add(stream)
    session.lingerTimer ??= setTimeout(() => {
      session.lingerTimer = undefined
      for (const waiting of session.lingering) waiting.hasLive = true
      session.lingering.clear()
      this.#pump(session)
    }, this.#settings.lingerMs)
  }

  #begin(): void {
    const session: Session = {
      ending: new AbortController(),
      streams: [],
      inFlight: { live: 0, backlog: 0 },
      isReady: false,
      isReading: false,
      confirmed: 0,
      sent: 0,
      backlogFromMs: 0,
      lingering: new Set(),
      lingerTimer: undefined,
      pauseTimer: undefined,
    }
    this.#session = session
    this.#prepare(session).catch((error: unknown) => {
      if (!session.ending.signal.aborted)
        this.#options.logger.error({ error: describeError(error) }, 'export cannot start; it tries again at the next connect')
    })
  }

  #end(): void {
    const session = this.#session
    if (!session) return
    this.#session = undefined
    session.ending.abort()
    clearTimeout(session.lingerTimer)
    clearTimeout(session.pauseTimer)
    if (session.confirmed > 0) this.#fruitless = 0
    else if (session.sent > 0) this.#fruitless++
  }

  /** Splits what waits from what comes. Rows confirmed in an earlier session are released first, so that they are not read again. */
  async #prepare(session: Session): Promise<void> {
    const { store, random } = this.#options
    if (this.#fruitless > 0) await sleep(fullJitterMs(this.#fruitless, this.#settings.fruitlessBackoff, random), session.ending.signal)
    await Promise.all(this.#releasing)
    const waiting = new Map((await store.ledger()).streams.map((row) => [row.name, row]))
    if (session.ending.signal.aborted) return
    for (const [id, { name, epoch }] of this.#known) {
      const row = waiting.get(name)
      const last = row?.lastSeq ?? 0
      const isEmpty = !row || row.waiting === 0
      session.streams.push({
        id,
        name,
        epoch,
        backlogNext: isEmpty ? last + 1 : row.firstWaiting,
        backlogLast: last,
        liveNext: last + 1,
        // Commits between the ledger's answer and now were notified while nobody listened.
        hasLive: true,
      })
    }
    session.isReady = true
    this.#pump(session)
  }

  /** Fills the window. One read at a time keeps the order and the memory. */
  #pump(session: Session): void {
    if (session.isReading || session.ending.signal.aborted) return
    const turn = nextTurn(session.streams, session.inFlight, this.#settings, this.#backlogAllowed(session))
    if (!turn) return
    void this.#take(session, turn)
  }

  async #take(session: Session, turn: Turn): Promise<void> {
    session.isReading = true
    try {
      await this.#readAndSend(session, turn)
    } catch (error) {
      if (turn.lane === 'live') turn.stream.hasLive = true
      if (!session.ending.signal.aborted) this.#pauseAfter(session, error)
      return
    } finally {
      session.isReading = false
    }
    this.#pump(session)
  }

  async #readAndSend(session: Session, { stream, lane }: Turn): Promise<void> {
    const { batchRowsMax, batchBytesMax } = this.#settings
    const isLive = lane === 'live'
    session.streams = [...session.streams.filter((other) => other !== stream), stream]
    if (isLive) stream.hasLive = false
    const [first, last] = isLive ? [stream.liveNext, SEQ_MAX] : [stream.backlogNext, stream.backlogLast]
    const rows = await this.#options.store.readStream(stream.id, first, last, batchRowsMax, batchBytesMax)
    if (session.ending.signal.aborted) return
    const lastRead = rows.at(-1)?.seq
    if (lastRead === undefined) {
      if (!isLive) stream.backlogNext = stream.backlogLast + 1
      return
    }
    if (isLive) {
      stream.liveNext = lastRead + 1
      // A full frame is followed at once; after any other the rest lingers, until a read finds nothing.
      if (rows.length >= batchRowsMax) stream.hasLive = true
      else this.#linger(session, stream)
    } else {
      stream.backlogNext = lastRead + 1
      for (const { record } of rows) record[AT.flags]! |= Flag.replayed
      this.#spendBacklog(session, rows.length)
    }
    this.#send(session, stream, lane, rows)
  }

  #send(session: Session, stream: StreamProgress, lane: Lane, rows: StreamRow[]): void {
    const { link, device, logger } = this.#options
    const [first, last] = [rows[0]!.seq, rows.at(-1)!.seq]
    const bytes = rows.reduce((sum, { record }) => sum + record.length + FRAME_ROW_HEADER_BYTES, 0)
    const frame = bytes <= FRAME_UNPACKED_BYTES_MAX ? encodeFrame(stream.name, stream.epoch, rows) : undefined
    if (!frame || frame.length > WIRE_PAYLOAD_BYTES_MAX) {
      if (rows.length === 1) {
        logger.error({ stream: stream.name, seq: first, bytes }, 'a row is too large for the hub; it stays in the store')
        return
      }
      const middle = rows.length >> 1
      this.#send(session, stream, lane, rows.slice(0, middle))
      this.#send(session, stream, lane, rows.slice(middle))
      return
    }
    session.inFlight[lane]++
    session.sent++
    link.publish(topics.events(device), frame).then(
      () => {
        session.inFlight[lane]--
        session.confirmed++
        this.#frames++
        this.#rows += rows.length
        this.#bytes += frame.length
        this.#release(stream, first, last, rows.length)
        this.#pump(session)
      },
      (error: unknown) => {
        session.inFlight[lane]--
        if (!isLinkGone(error))
          logger.warn({ stream: stream.name, error: describeError(error) }, 'the hub did not take a frame; it goes again')
      },
    )
  }

  #release(stream: StreamProgress, first: number, last: number, rows: number): void {
    const { store, logger, onReleased } = this.#options
    const releasing = store.releaseStream(stream.id, first, last).then(
      () => onReleased?.(stream.name, rows),
      (error: unknown) =>
        logger.error({ stream: stream.name, error: describeError(error) }, 'confirmed rows could not be released; they go again'),
    )
    this.#releasing.add(releasing)
    void releasing.finally(() => this.#releasing.delete(releasing))
  }

  #backlogAllowed(session: Session): boolean {
    const waitMs = session.backlogFromMs - performance.now()
    if (waitMs <= 0) return true
    if (session.streams.some((stream) => stream.backlogNext <= stream.backlogLast)) this.#later(session, waitMs)
    return false
  }

  #spendBacklog(session: Session, rows: number): void {
    const { backlogRowsPerSecond } = this.#settings
    if (backlogRowsPerSecond > 0)
      session.backlogFromMs = Math.max(performance.now(), session.backlogFromMs) + (rows * 1000) / backlogRowsPerSecond
  }

  #pauseAfter(session: Session, error: unknown): void {
    this.#options.logger.error({ error: describeError(error) }, 'export cannot read the store; it tries again')
    this.#later(session, this.#settings.fruitlessBackoff.firstMs)
  }

  #later(session: Session, ms: number): void {
    session.pauseTimer ??= setTimeout(() => {
      session.pauseTimer = undefined
      this.#pump(session)
    }, Math.ceil(ms))
  }
}

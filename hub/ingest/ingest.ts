/**
 * What devices send, into the database. PUBACK follows `done`, and `done` follows the commit. A message that breaks the protocol
 * is refused, which closes its sender.
 */
import { zstdDecompressSync } from 'node:zlib'
import type { InboundMessage, Ingest } from '../../adapters/broker/contract.ts'
import { LogBatch, Reported, topics } from '../../config/wire.ts'
import { ProtocolError, TrustError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'
import { decodeFrame } from '../../runtime/event/frame.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import { checkShape } from '../json/check-shape.ts'
import { parseJson } from '../json/parse-json.ts'
import type { Devices } from '../registry/devices.ts'
import { EventWriter, type Written } from './event-writer.ts'
import type { GroupCommit, Item } from './group-commit.ts'
import { LogWriter } from './log-writer.ts'

const REPORTED_BYTES_MAX = 256 * 1024
const LOGS_UNPACKED_BYTES_MAX = 4 * 1024 * 1024

export interface IngestStats {
  readonly rows: number
  readonly duplicates: number
  readonly frames: number
  readonly commits: number
  readonly refused: number
}

export class HubIngest implements Ingest {
  readonly #devices: Devices
  readonly #logger: Logger
  readonly #events: EventWriter
  readonly #logs: LogWriter
  readonly #commit: GroupCommit
  readonly #counters = { rows: 0, duplicates: 0, frames: 0, refused: 0 }

  constructor(
    parts: { database: HubDatabase; devices: Devices; commit: GroupCommit; logger: Logger },
    options: { logLinesPerDeviceMax: number },
  ) {
    this.#devices = parts.devices
    this.#logger = parts.logger
    this.#commit = parts.commit
    this.#events = new EventWriter(parts.database)
    this.#logs = new LogWriter(parts.database, { linesPerDeviceMax: options.logLinesPerDeviceMax })
    this.#commit.onRollback = () => this.#events.forget()
  }

  publish(message: InboundMessage, done: (error: Error | null) => void): void {
    const answer = (error: Error | null) => {
      if (error) {
        this.#counters.refused++
        const { clientId: device, topic, payload } = message
        this.#logger.warn({ device, topic, bytes: payload.length, err: error }, 'message refused')
      }
      done(error)
    }
    try {
      this.#commit.push(this.#work(message, answer))
    } catch (error) {
      answer(error as Error)
    }
  }

  stats(): IngestStats {
    return { ...this.#counters, commits: this.#commit.commits }
  }

  /** Reads the message now (its payload is valid only now) and returns what stores it. Throws ProtocolError. */
  #work({ clientId, topic, payload, retain }: InboundMessage, done: Item['done']): Item {
    if (retain) throw new ProtocolError('retain-refused', 'Cannot keep a retained message from a device')
    const device = this.#devices.numberOf(clientId)
    if (device === undefined) throw new TrustError('device-not-accepted', `Cannot take messages of "${clientId}"`)
    const receivedMs = Date.now()
    switch (topic) {
      case topics.events(clientId):
        return this.#eventWork(device, payload, receivedMs, done)
      case topics.reported(clientId): {
        if (payload.length > REPORTED_BYTES_MAX)
          throw new ProtocolError('report-too-large', `Cannot keep a report of ${payload.length} bytes`)
        const text = payload.toString()
        const { facts } = checkShape(Reported, parseJson(text), 'report')
        return { bytes: payload.length, run: () => this.#devices.setReported(clientId, text, facts && JSON.stringify(facts)), done }
      }
      case topics.logs(clientId): {
        const text = unpackLogs(payload)
        const batch = checkShape(LogBatch, parseJson(text), 'log batch')
        return { bytes: text.length, run: () => this.#logs.write(device, batch, receivedMs), done }
      }
      default:
        throw new ProtocolError('topic-unknown', `Cannot take messages on "${topic}"`)
    }
  }

  #eventWork(device: number, payload: Buffer, receivedMs: number, done: Item['done']): Item {
    // Rows of a frame that was not packed are views into the payload, which is not ours to keep.
    const frame = decodeFrame(payload[4] === 0 ? Buffer.from(payload) : payload)
    let written: Written = { stored: 0, duplicates: 0 }
    return {
      bytes: frame.bytes,
      run: () => {
        written = this.#events.write(device, frame, receivedMs)
      },
      done: (error) => {
        if (!error) this.#count(written)
        done(error)
      },
    }
  }

  #count({ stored, duplicates }: Written): void {
    this.#counters.frames++
    this.#counters.rows += stored
    this.#counters.duplicates += duplicates
  }
}

function unpackLogs(payload: Buffer): string {
  try {
    return zstdDecompressSync(payload, { maxOutputLength: LOGS_UNPACKED_BYTES_MAX }).toString()
  } catch (cause) {
    throw new ProtocolError('logs-invalid', 'Cannot unpack the log batch', { cause })
  }
}

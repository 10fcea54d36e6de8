import type { IClientPublishOptions } from 'mqtt'
import { codeOf } from '../../runtime/base/errors.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { headOf } from '../../runtime/event/event-writer.ts'
import { findItem } from '../../runtime/event/head.ts'
import { Tag } from '../../runtime/event/record.ts'
import type { OutsideBroker } from '../../config/triggers/outside-broker.ts'
import { MqttHeader } from './mqtt-event.ts'

export interface Result {
  readonly topic: string
  readonly payload: Buffer
  readonly options: IClientPublishOptions
}

/** What is published for an answer: to the event's response topic (MQTT 5), and, when the handler returned something, to `resultTopic`. */
export function resultsOf(record: Buffer, answer: Answer, broker: OutsideBroker): Result[] {
  const head = headOf(record)
  const response = findItem(head, Tag.header, MqttHeader.responseTopic)
  const results: Result[] = []
  if (response !== undefined && isTopic(response)) {
    const correlation = findItem(head, Tag.header, MqttHeader.correlationData)
    const correlationData = correlation === undefined ? {} : { correlationData: Buffer.from(correlation, 'base64') }
    results.push(resultFor(response, answer, broker, correlationData))
  }
  const topic = broker.resultTopic?.replaceAll('{topic}', () => findItem(head, Tag.topic) ?? '')
  if (topic !== undefined && isTopic(topic) && answer.body.length > 0) results.push(resultFor(topic, answer, broker, {}))
  return results
}

function resultFor(
  topic: string,
  answer: Answer,
  { protocolVersion, resultQos }: OutsideBroker,
  more: { correlationData?: Buffer },
): Result {
  const { body, contentType, headers, status } = answer
  const properties = {
    ...(contentType === undefined ? {} : { contentType }),
    userProperties: { ...headers, status: String(status) },
    ...more,
  }
  return { topic, payload: body, options: { qos: resultQos, ...(protocolVersion === 5 ? { properties } : {}) } }
}

function isTopic(topic: string): boolean {
  return topic !== '' && !/[+#\0]/.test(topic) && Buffer.byteLength(topic) <= 65_535
}

/** Results that wait for the broker; the oldest go when there are more. */
const WAITING_MAX = 1000
const WAITING_BYTES_MAX = 4 * 1024 * 1024
/** Unacknowledged at a time: no more than a broker of MQTT 5 takes by its own default, and mosquitto's. */
const IN_FLIGHT_MAX = 20

const STOPPED = 'the trigger was stopped before the broker took them'

/** Sends one result; resolves at the broker's acknowledgement. */
export type SendResult = (result: Result) => Promise<void>

/**
 * Results on their way to the broker, in order. They are kept in memory while the broker is away and sent again after a connection that
 * ended before their acknowledgement. What does not fit, and what waits when the agent ends, is lost: `onLost` is told.
 */
export class Results {
  readonly #onLost: (count: number, reason: string) => void
  #waiting: Result[] = []
  #bytes = 0
  #inFlight = new Set<Result>()
  #send: SendResult | null = null
  #isClosed = false

  constructor(onLost: (count: number, reason: string) => void) {
    this.#onLost = onLost
  }

  add(result: Result): void {
    if (this.#isClosed) return this.#onLost(1, STOPPED)
    this.#waiting.push(result)
    this.#bytes += result.payload.length
    let dropped = 0
    while (this.#waiting.length > WAITING_MAX || (this.#bytes > WAITING_BYTES_MAX && this.#waiting.length > 1)) {
      this.#bytes -= this.#waiting.shift()!.payload.length
      dropped++
    }
    if (dropped > 0) this.#onLost(dropped, `more than ${WAITING_MAX} results or ${WAITING_BYTES_MAX} bytes wait for the broker`)
    this.#pump()
  }

  /** There is a connection. */
  connected(send: SendResult): void {
    this.#send = send
    this.#pump()
  }

  /** The connection ended: what it had not acknowledged is sent by the next one, first. */
  disconnected(): void {
    this.#send = null
    const again = [...this.#inFlight]
    this.#inFlight = new Set()
    this.#waiting = [...again, ...this.#waiting]
    for (const { payload } of again) this.#bytes += payload.length
  }

  /** The trigger ends. */
  close(): void {
    this.disconnected()
    this.#isClosed = true
    if (this.#waiting.length > 0) this.#onLost(this.#waiting.length, STOPPED)
    this.#waiting = []
    this.#bytes = 0
  }

  #pump(): void {
    while (this.#send && this.#inFlight.size < IN_FLIGHT_MAX && this.#waiting.length > 0) {
      const result = this.#waiting.shift()!
      this.#bytes -= result.payload.length
      this.#inFlight.add(result)
      const send = this.#send
      send(result).then(
        () => this.#sent(result, send),
        (error: Error) => this.#refused(result, send, error),
      )
    }
  }

  #sent(result: Result, send: SendResult): void {
    if (this.#send === send) this.#inFlight.delete(result)
    this.#pump()
  }

  /** By the broker, not by the end of the connection: it would be refused again. */
  #refused(result: Result, send: SendResult, error: Error): void {
    if (codeOf(error) === 'mqtt-lost' || this.#send !== send || !this.#inFlight.delete(result)) return
    this.#onLost(1, error.message)
    this.#pump()
  }
}

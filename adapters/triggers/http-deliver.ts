import type { ServerResponse } from 'node:http'
import type { HttpTriggerConfig } from '../../config/function-config.ts'
import { codeOf, describeError } from '../../runtime/base/errors.ts'
import { uuidText } from '../../runtime/base/uuid.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import { setLogLevel } from '../../runtime/event/event-writer.ts'
import { AT } from '../../runtime/event/record.ts'
import type { TriggerContext, TriggerSink } from '../../runtime/functions/trigger.ts'
import { answerHeaders } from './cloud-event-http.ts'
import type { CloudEvent } from './cloud-event.ts'
import { end, endJson, send, type SendOptions } from './http-answer.ts'
import { answerEntry, batchStatus, type BatchEntry } from './http-batch.ts'
import { readCloudEvents, toCloudEventRecord } from './http-cloud-event.ts'
import { isLoopbackAddress } from './http-hosts.ts'
import type { HttpCall } from './http-listener.ts'
import { logLevel, logsHeader } from './http-logs.ts'
import { addRequest, isFault } from './http-request.ts'
import { openFileIn, sendFile, sendStream } from './http-stream.ts'

/** A request with its body, and who is to be answered. `extra`: headers of the answer, names and values. */
export interface Exchange {
  readonly call: HttpCall
  readonly body: Buffer
  readonly response: ServerResponse
  readonly extra: readonly string[]
}

const LOG_LEVEL_HEADER = 'x-nuclio-log-level'
const FILE_HEADER = 'x-nuclio-filestream-path'

/** Makes events of requests and answers with what becomes of them. */
export class HttpDelivery {
  readonly #config: HttpTriggerConfig
  readonly #sink: TriggerSink
  readonly #functionName: string
  readonly #stallTimeoutMs: number

  constructor(config: HttpTriggerConfig, { sink, functionName }: TriggerContext, stallTimeoutMs: number) {
    this.#config = config
    this.#sink = sink
    this.#functionName = functionName
    this.#stallTimeoutMs = stallTimeoutMs
  }

  deliver(exchange: Exchange): void {
    const { call, body, response, extra } = exchange
    const cloudEvents = this.#config.cloudEvents ? readCloudEvents(call, body) : null
    if (cloudEvents === null) return this.#deliverOne(exchange, null)
    if (isFault(cloudEvents)) return end(response, cloudEvents.status, cloudEvents.text, extra)
    if (cloudEvents.isBatch) this.#deliverBatch(exchange, cloudEvents.events)
    else this.#deliverOne(exchange, cloudEvents.events[0]!)
  }

  #deliverOne(exchange: Exchange, cloudEvent: CloudEvent | null): void {
    const record = this.#record(exchange, cloudEvent)
    if (!record) return
    const { response, extra } = exchange
    if (this.#config.delivery === 'durable') {
      return this.#sink.accept(record, (error) => {
        if (error) end(response, statusOfRefusal(error), error.message, extra)
        else endJson(response, 202, { id: uuidText(record, AT.id) }, extra)
      })
    }
    const level = this.#logLevel(exchange.call)
    if (level > 0) setLogLevel(record, level)
    this.#sink.invoke(
      record,
      (answer) => this.#answer(exchange, answer),
      (head, stream) => sendStream(response, this.#asCloudEvent(head), stream, this.#options(extra)),
    )
  }

  #answer({ response, extra }: Exchange, given: Answer): void {
    const answer = this.#asCloudEvent(given)
    const options = this.#options(answer.logs ? [...extra, 'x-nuclio-logs', logsHeader(answer.logs)] : extra)
    for (const name in answer.headers) {
      if (name.length === FILE_HEADER.length && name.toLowerCase() === FILE_HEADER) return this.#answerFile(response, answer, name, options)
    }
    send(response, answer, options)
  }

  #answerFile(response: ServerResponse, answer: Answer, name: string, options: SendOptions): void {
    const { [name]: file, ...headers } = answer.headers
    const folder = this.#config.fileStreamFolder
    if (folder === null) {
      return end(response, 500, `The function answers with a file, which needs attributes.fileStreamFolder of trigger ${this.#config.name}`)
    }
    openFileIn(folder, file!)
      .then((opened) => sendFile(response, { ...answer, headers }, opened, options))
      .catch((error: unknown) => {
        if (response.headersSent) response.destroy()
        else end(response, codeOf(error) === 'file-missing' ? 404 : 500, describeError(error).split('\n')[0]!, options.extra)
      })
  }

  /** Each event on its way by itself; the answer when the last one has ended. */
  #deliverBatch(exchange: Exchange, events: readonly CloudEvent[]): void {
    const { response, extra } = exchange
    const isDurable = this.#config.delivery === 'durable'
    const records: Buffer[] = []
    for (const event of events) {
      const record = this.#record(exchange, event)
      // Answered; nothing of the batch is taken.
      if (!record) return
      records.push(record)
    }
    const entries: BatchEntry[] = []
    let missing = records.length
    const finish = () => endJson(response, batchStatus(entries, isDurable), entries, [...extra, ...retryAfter(entries)])
    if (missing === 0) return finish()
    for (const [index, record] of records.entries()) {
      const id = uuidText(record, AT.id)
      const ended = (entry: BatchEntry) => {
        entries[index] = entry
        if (--missing === 0) finish()
      }
      if (isDurable) {
        this.#sink.accept(record, (error) =>
          ended(error ? { id, status: statusOfRefusal(error), error: error.message } : { id, status: 202 }),
        )
      } else this.#sink.invoke(record, (answer) => ended(answerEntry(id, answer)))
    }
  }

  /** undefined: it cannot be carried, and that is answered. */
  #record({ call, body, response, extra }: Exchange, cloudEvent: CloudEvent | null): Buffer | undefined {
    const { events } = this.#sink
    try {
      if (cloudEvent) return toCloudEventRecord(call, cloudEvent, events)
      addRequest(events.head, call.request.method ?? 'GET', call.target, call.headers, call.parameters)
      return events.finish(body)
    } catch (error) {
      events.head.reset()
      end(response, cloudEvent ? 400 : 431, (error as Error).message, extra)
      return undefined
    }
  }

  /** 0: the logs are not asked for, or not told to this client. */
  #logLevel({ headers, request }: HttpCall): number {
    const wanted = headers.get(LOG_LEVEL_HEADER)
    if (wanted === undefined || this.#config.returnLogs === 'never') return 0
    const isNear = isLoopbackAddress(request.socket.remoteAddress) && !headers.get('x-forwarded-for') && !headers.get('forwarded')
    return isNear || this.#config.returnLogs === 'always' ? logLevel(wanted) : 0
  }

  #asCloudEvent(answer: Answer): Answer {
    if (!this.#config.cloudEvents) return answer
    const headers = answerHeaders(answer.headers, this.#functionName)
    return headers ? { ...answer, headers } : answer
  }

  #options(extra: readonly string[]): SendOptions {
    return { extra, stallTimeoutMs: this.#stallTimeoutMs }
  }
}

function statusOfRefusal(error: Error): number {
  return codeOf(error) === 'store-full' ? 507 : 503
}

function retryAfter(entries: readonly BatchEntry[]): readonly string[] {
  return entries.some(({ status }) => status === 503) ? ['retry-after', '1'] : []
}

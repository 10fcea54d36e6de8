/** The worker thread of a nodejs function: loads the handler, then answers events, many at once when it is asynchronous. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { workerData } from 'node:worker_threads'
import { Kind, Tag } from '../../event/record.ts'
import type { RecordView } from '../../shared-memory/channel.ts'
import { openThreadChannel, type ThreadChannelTransfer } from '../../shared-memory/thread-channel.ts'
import { toBytes } from './content.ts'
import { Context, type Answering, type GuestInit } from './guest-context.ts'
import { Event, Response } from './guest-event.ts'
import { GuestLink } from './guest-link.ts'
import { loadHandler, type Handler } from './handler-file.ts'

const channel = openThreadChannel(workerData as ThreadChannelTransfer)
const link = new GuestLink(channel)
const current = new AsyncLocalStorage<Answering>()
let context: Context
let handler: Handler
/** The handler answers through context.callback: returning nothing is no answer. */
let usesCallback = false
let init: GuestInit
let running = 0
let stopping = false

channel.onRecord = (view) => {
  switch (view.kind) {
    case Kind.event:
      return onEvent(view)
    case Kind.stateValue:
    case Kind.callResult:
      return context.onAnswer(view)
    case Kind.init:
      init = JSON.parse(view.body.toString('utf8')) as GuestInit
      start().catch((error: unknown) => {
        addError(error)
        link.send(Kind.initFailed, 0, 500, null)
      })
      return
    case Kind.stop:
      stopping = true
      return endWhenDone()
  }
}

async function start(): Promise<void> {
  const loaded = await loadHandler(init.directory, init.handler)
  handler = loaded.handler
  usesCallback = loaded.usesCallback
  context = new Context(init, link, current)
  if (loaded.initContext) await loaded.initContext(context)
  link.send(Kind.ready, 0, 0, READY)
}

const READY = Buffer.from('{"guest":"nodejs","mode":"async"}')

function onEvent(view: RecordView): void {
  const event = new Event(view.record, init.triggers[view.source] ?? init.triggers[0]!)
  running++
  const answering = new EventAnswer(view.ticket)
  current.run(answering, runHandler, event, answering)
}

function runHandler(event: Event, answering: EventAnswer): void {
  let returned: unknown
  try {
    returned = handler(context, event)
  } catch (error) {
    return answering.fail(error)
  }
  if (isPromise(returned)) {
    returned.then(
      (value) => answering.returned(value),
      (error: unknown) => answering.fail(error),
    )
  } else answering.returned(returned)
}

/** Sends exactly one RESULT for its event, whatever the handler does. */
class EventAnswer implements Answering {
  readonly ticket: number
  answered = false

  constructor(ticket: number) {
    this.ticket = ticket
  }

  returned(value: unknown): void {
    if (value === undefined && usesCallback) return
    this.answer(value)
  }

  answer(value: unknown): void {
    if (this.answered) return
    this.answered = true
    try {
      if (Array.isArray(value) && value.length === 2 && typeof value[0] === 'number') sendResult(this.ticket, value[0], value[1])
      else if (value instanceof Response) sendResult(this.ticket, value.statusCode, value.body, value.contentType, value.headers)
      else if (value instanceof Error) sendFailure(this.ticket, value)
      else sendResult(this.ticket, 200, value)
    } catch (error) {
      link.head.reset()
      sendFailure(this.ticket, error)
    }
    running--
    endWhenDone()
  }

  fail(error: unknown): void {
    if (this.answered) {
      context.logger.error(`Handler failed after it had answered: ${String(error)}`)
      return
    }
    this.answered = true
    sendFailure(this.ticket, error)
    running--
    endWhenDone()
  }
}

function sendResult(ticket: number, status: number, body: unknown, contentType?: string, headers?: Record<string, string>): void {
  const content = toBytes(body, contentType)
  if (content.contentType !== undefined) link.head.add(Tag.contentType, content.contentType)
  if (headers) for (const key of Object.keys(headers)) link.head.add(Tag.header, String(headers[key]), key)
  link.send(Kind.result, ticket, status, content.bytes)
}

function sendFailure(ticket: number, error: unknown): void {
  addError(error)
  link.send(Kind.result, ticket, 500, null)
}

function addError(error: unknown): void {
  link.head.add(Tag.error, (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 4096))
  if (error instanceof Error && error.stack) link.head.add(Tag.stack, error.stack.slice(0, 16_384))
}

function endWhenDone(): void {
  if (!stopping || running > 0) return
  channel.flush()
  setImmediate(() => process.exit(0))
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

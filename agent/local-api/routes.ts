import type { Broker } from '../../adapters/broker/broker.ts'
import type { AgentConfig } from '../../config/agent-config.ts'
import { codeOf, describeError, InputError } from '../../runtime/base/errors.ts'
import { uuidText } from '../../runtime/base/uuid.ts'
import { bodyOf, headOf } from '../../runtime/event/event-writer.ts'
import { findItem } from '../../runtime/event/head.ts'
import { AT, Tag } from '../../runtime/event/record.ts'
import type { Processor } from '../../runtime/processor.ts'
import type { DeadLetter, Store } from '../../runtime/store/store.ts'
import type { Answer } from '../../runtime/dispatch/delivery.ts'
import type { HubSide } from '../hub-side.ts'
import type { ServedSource } from '../source/served-source.ts'
import { syntheticEvent, syntheticRecord } from '../source/synthetic-event.ts'
import type { LogBook } from '../telemetry/log-book.ts'
import { AGENT_VERSION } from '../version.ts'
import type { LocalRequest, LocalRoute } from './local-api.ts'
import { recordHandled } from './record-handled.ts'
import { versionRoutes } from './version-routes.ts'

const LIST_MAX = 1_000
/** Of an answer's headers. */
const HEADER_PREFIX = 'x-dunlin-header-'

export interface RouteParts {
  readonly store: Store
  readonly processor: Processor
  readonly hub: HubSide
  readonly broker: Broker | undefined
  readonly logBook: LogBook
  readonly config: AgentConfig
  readonly startedMs: number
  readonly source: ServedSource | undefined
}

/** Every route of the local API, in the order of docs/agent-api.md. */
export function localRoutes(parts: RouteParts): LocalRoute[] {
  const { store, processor, hub, logBook } = parts
  return [
    { method: 'GET', path: '/v1/status', handle: async () => ({ body: await status(parts) }) },
    {
      method: 'GET',
      path: '/v1/functions',
      handle: async () => ({ body: { functions: processor.status(), deployments: hub.deployments } }),
    },
    {
      method: 'GET',
      path: '/v1/streams',
      handle: async () => ({ body: { streams: (await store.ledger()).streams, export: hub.exportStats ?? null } }),
    },
    { method: 'GET', path: '/v1/ledger', handle: async () => ({ body: await store.ledger() }) },
    { method: 'GET', path: '/v1/logs', handle: async ({ query }) => ({ body: logs(logBook, query) }) },
    {
      method: 'GET',
      path: '/v1/dead-letters',
      handle: async ({ query }) => {
        const before = query.has('before') ? whole(query, 'before', 0) : undefined
        const letters = await store.deadLetters(Math.min(LIST_MAX, whole(query, 'limit', 100)), before)
        return { body: { deadLetters: letters.map(letterBody) } }
      },
    },
    {
      method: 'POST',
      path: '/v1/dead-letters/:id/replay',
      handle: async ({ params }) => {
        const found = await store.replayDeadLetter(Number(params['id']))
        if (!found) throw new InputError('not-found', `There is no dead letter ${params['id']}`)
        const [row] = await store.readInbox(found.source, found.inboxId - 1, 1, 1)
        const isQueued = row?.inboxId === found.inboxId && processor.requeue(found.source, row.record, row.inboxId)
        // Its alias may be no more: then production gets it.
        return { body: { inboxId: found.inboxId, queued: isQueued || (await hub.gather()) > 0 } }
      },
    },
    {
      method: 'POST',
      path: '/v1/source/reload',
      handle: async () => {
        if (!parts.source) throw new InputError('not-found', 'Cannot reload: this agent serves no function from its source')
        try {
          const { name } = await parts.source.serveWith(processor)
          return { body: { function: name } }
        } catch (error) {
          // The author's, whatever it is.
          throw new InputError(codeOf(error), describeError(error))
        }
      },
    },
    { method: 'POST', path: '/v1/functions/:name/invoke', handle: (request) => invoke(processor, request) },
    { method: 'GET', path: '/v1/functions/:name/record', handle: (request) => recordHandled(processor, request) },
    ...versionRoutes(processor),
  ]
}

async function status({ store, processor, hub, broker, startedMs }: RouteParts): Promise<object> {
  const functions = processor.status()
  const ledger = await store.ledger()
  const sum = <T>(rows: readonly T[], pick: (row: T) => number): number => rows.reduce((total, row) => total + pick(row), 0)
  const triggers = functions.flatMap((fn) => [fn, ...fn.aliases]).flatMap((running) => running.triggers)
  const served = processor.sources
  const { name: state, ...link } = hub.linkState
  return {
    device: hub.device,
    version: AGENT_VERSION,
    uptimeMs: Date.now() - startedMs,
    boot: store.boot,
    link: { state, hub: hub.url, ...link },
    broker: broker ? { address: broker.address, ...broker.stats() } : null,
    functions,
    deployments: hub.deployments,
    counters: {
      received: sum(triggers, (trigger) => trigger.received),
      handled: sum(triggers, (trigger) => trigger.handled),
      failed: sum(triggers, (trigger) => trigger.failed),
      stored: sum(ledger.streams, (stream) => stream.accepted),
      delivered: sum(ledger.streams, (stream) => stream.delivered),
    },
    waiting: { inbox: sum(ledger.sources, (source) => source.waiting), streams: sum(ledger.streams, (stream) => stream.waiting) },
    unserved: ledger.sources
      .filter(({ name, waiting }) => waiting > 0 && !served.has(name))
      .map(({ name, waiting }) => ({ source: name, waiting })),
    deadLetters: sum(ledger.sources, (source) => source.dead),
    balanced: [...ledger.sources, ...ledger.streams].every((row) => row.balanced),
    store: { bytesUsed: ledger.bytesUsed, bytesMax: ledger.bytesMax },
    memory: { rss: process.memoryUsage.rss() },
  }
}

function logs(book: LogBook, query: URLSearchParams): object {
  const name = query.get('function')
  return {
    lines: book.recent({
      limit: Math.min(LIST_MAX, whole(query, 'limit', 100)),
      after: whole(query, 'after', 0),
      ...(name === null ? {} : { function: name }),
    }),
  }
}

function letterBody({ record, ...letter }: DeadLetter): object {
  const body = bodyOf(record)
  return {
    ...letter,
    eventId: uuidText(record, AT.id),
    topic: findItem(headOf(record), Tag.topic) ?? null,
    contentType: findItem(headOf(record), Tag.contentType) ?? null,
    bodyBase64: body.toString('base64'),
  }
}

/** A direct call: the query says what the event is like. */
function invoke(
  processor: Processor,
  { params, query, headers, body }: LocalRequest,
): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
  const event = syntheticEvent(query, headers['content-type'], body)
  const record = syntheticRecord(processor.events, event)
  return new Promise((resolve) => processor.invoke(params['name']!, record, (answer) => resolve(invoked(answer)), event.trigger))
}

function invoked(answer: Answer): { status: number; headers: Record<string, string>; body: Buffer } {
  const headers: Record<string, string> = {}
  if (answer.error !== undefined) headers['x-dunlin-failed'] = 'true'
  if (answer.contentType !== undefined) headers['content-type'] = answer.contentType
  for (const [name, value] of Object.entries(answer.headers)) headers[`${HEADER_PREFIX}${name.toLowerCase()}`] = value
  const body = answer.error !== undefined && answer.body.length === 0 ? Buffer.from(answer.error) : answer.body
  return { status: answer.status >= 200 && answer.status <= 599 ? answer.status : 500, headers, body }
}

/** A whole number from the query, or `otherwise`. */
function whole(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name)
  if (text === null) return otherwise
  if (!/^\d{1,15}$/.test(text)) throw new InputError('query-invalid', `Cannot read ?${name}=${text.slice(0, 40)}: expected a whole number`)
  return Number(text)
}

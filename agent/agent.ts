/**
 * The agent: everything that runs on one device, wired in the order of an event's way.
 *
 *   store -> processor -> functions that were committed, from disk -> local broker -> local API -> hub
 *
 * The first act is to run what was committed; the network comes last, and its coming and going changes nothing by itself.
 */
import path from 'node:path'
import { openBroker, type Broker } from '../adapters/broker/broker.ts'
import { HttpListener } from '../adapters/triggers/http-listener.ts'
import { MqttRouter } from '../adapters/triggers/mqtt-router.ts'
import { makeTrigger } from '../adapters/triggers/registry.ts'
import type { AgentConfig } from '../config/agent-config.ts'
import { Clock } from '../runtime/base/clock.ts'
import { Closer } from '../runtime/base/closer.ts'
import { describeError } from '../runtime/base/errors.ts'
import type { Logger } from '../runtime/base/log.ts'
import { bodyOf, headOf } from '../runtime/event/event-writer.ts'
import { findItem } from '../runtime/event/head.ts'
import { AT, Flag, Tag } from '../runtime/event/record.ts'
import { Processor } from '../runtime/processor.ts'
import { openStore, type StoreClient } from '../runtime/store/store-client.ts'
import { HubSide } from './hub-side.ts'
import { identityDirectory, loadIdentity } from './identity/identity.ts'
import { LocalApi } from './local-api/local-api.ts'
import { localRoutes } from './local-api/routes.ts'
import { agentSocket } from './local-api/socket-path.ts'
import type { ServedSource } from './source/served-source.ts'
import { LogBook } from './telemetry/log-book.ts'

/** Handlers that run when the agent is told to stop get this long. */
const STOP_GRACE_MS = 5_000

export interface AgentOptions {
  readonly config: AgentConfig
  /** A function that is served from its source, beside what the hub assigns. */
  readonly source?: ServedSource
  readonly logger: Logger
  /** Nothing more can be kept: the process must end, and start again. */
  readonly onFatal: (error: Error) => void
}

export interface Agent {
  readonly broker: { readonly host: string; readonly port: number } | null
  readonly http: { readonly host: string; readonly port: number } | null
  readonly socket: string
  readonly device: string | null
  /** Takes nothing new, lets running handlers end, and closes what was opened. Idempotent. */
  close(): Promise<void>
}

/** Rejects with 'data-dir-locked', 'store-newer', 'port-taken' and other errors that say what to do; then nothing is left open. */
export async function openAgent(options: AgentOptions): Promise<Agent> {
  const closer = new Closer()
  try {
    return await wire(options, closer)
  } catch (error) {
    await closer.close().catch(() => {})
    throw error
  }
}

async function wire({ config, source, logger, onFatal }: AgentOptions, closer: Closer): Promise<Agent> {
  const startedMs = Date.now()
  const { dataDir } = config
  closer.push(() => source?.close())
  const store = await openStore({ dataDir, ...config.store, logger: logger.child({ part: 'store' }), onFatal })
  closer.push(() => store.close())

  const clock = new Clock()
  const logBook = new LogBook()
  const router = new MqttRouter()
  const http = new HttpListener(config.http, 'http of agent.yaml', logger.child({ part: 'http' }))
  closer.push(() => http.close())
  let broker: Broker | undefined
  const processor = new Processor({
    store,
    clock,
    logger: logger.child({ part: 'processor' }),
    makeTrigger: (trigger, context) => makeTrigger(trigger, context, { router, http, marks: marksIn(store) }),
    publish: (record, functionName) => publishFrom(record, functionName, router, broker, logger),
    onStream: (id, name) => hub.addStream(id, name),
    onRows: (streams) => hub.onRows(streams),
    onWorkerEnded: (version, ended, alias) => hub.workerEnded(version, ended, alias),
    onLog: (functionName, level, message, fields) => logBook.add(functionName, level, message, fields),
  })
  closer.push(() => processor.stop(STOP_GRACE_MS))

  const hub: HubSide = new HubSide({ config, store, clock, processor, logBook, logger: logger.child({ part: 'hub' }), startedMs })
  closer.push(() => hub.close())
  await hub.openStreams()
  // An identity that does not read is said once and must not stop what runs without a hub.
  const identity = await loadIdentity(identityDirectory(dataDir)).catch((error: unknown) => {
    logger.error({ error: describeError(error) }, 'the device identity does not read')
    return undefined
  })
  if (identity) await hub.belongTo(identity)
  await source?.serveWith(processor)

  if (config.broker.enabled) {
    broker = await openBroker({ config: config.broker, ingest: router, logger: logger.child({ part: 'broker' }) })
    const opened = broker
    closer.push(() => opened.close())
  }
  const socket = agentSocket(dataDir)
  const api = new LocalApi(
    socket,
    localRoutes({ store, processor, hub, broker, logBook, startedMs, config, source }),
    logger.child({ part: 'local-api' }),
  )
  await api.open()
  closer.push(() => api.close())
  hub.start()
  return {
    broker: broker?.address ?? null,
    get http() {
      return http.address ?? null
    },
    socket: path.resolve(socket),
    get device() {
      return hub.device
    },
    close: () => closer.close(),
  }
}

/**
 * context.publish: first the inputs of other functions (their steps lie before the publishing event's own in the store's batch,
 * so neither is there without the other), then the broker's clients.
 */
function publishFrom(record: Buffer, functionName: string, router: MqttRouter, broker: Broker | undefined, logger: Logger): void {
  const topic = findItem(headOf(record), Tag.topic) ?? ''
  if (topic === '' || topic.startsWith('$') || /[+#\0]/.test(topic)) {
    logger.warn(
      { function: functionName, topic: topic.slice(0, 100) },
      'a function published to a topic that is not allowed; it is dropped',
    )
    return
  }
  const qos = (record[AT.flags]! & Flag.qosMask) === 0 ? 0 : 1
  const retain = (record[AT.flags]! & Flag.retain) !== 0
  const payload = bodyOf(record)
  const failed = (error: Error) =>
    logger.warn({ function: functionName, topic, error: error.message }, 'a published message did not reach everybody')
  router.publish({ clientId: '', topic, payload, qos, retain }, (error) => error && failed(error))
  broker?.publish(topic, payload, { qos, retain }).catch(failed)
}

function marksIn(store: StoreClient) {
  return { get: (name: string) => store.getValue(name), set: (name: string, value: string) => store.setValue(name, value) }
}

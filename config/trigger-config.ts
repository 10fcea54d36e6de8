/** The triggers of function.yaml, checked by their kind and compiled. */
import type * as v from 'valibot'
import { type Checker, shown } from './check.ts'
import { compileSchedule } from './cron-schedule.ts'
import type { CorsConfig, RuntimeKind, TriggerBase, TriggerConfig, TriggerKind } from './function-types.ts'
import { guess } from './guess.ts'
import type { Notices } from './notices.ts'
import { ATTRIBUTES_WITHOUT_EFFECT, OTHER_TRIGGER_KINDS, TRIGGER_WITHOUT_EFFECT } from './nuclio-fields.ts'
import { RUNTIMES } from './runtimes.ts'
import { type CronTrigger, type HttpTrigger, type MqttTrigger, TRIGGER_KINDS, triggerSchemas } from './trigger-schema.ts'

/** More is a mistake: each has workers of its own. */
const TRIGGERS_MAX = 32

interface Context {
  readonly runtime: RuntimeKind
  readonly functionName: string
}

type Mqtt = v.InferOutput<typeof MqttTrigger>
type Http = v.InferOutput<typeof HttpTrigger>
type Cron = v.InferOutput<typeof CronTrigger>

/** Disabled triggers are left out with a notice. null after a problem. */
export function compileTriggers(checker: Checker, notices: Notices, context: Context): TriggerConfig[] | null {
  const given = checker.valueAt(['spec', 'triggers']) ?? {}
  // A list in the map's place is among the document's problems.
  if (typeof given !== 'object' || Array.isArray(given)) return null
  const before = checker.problems.count
  const names = Object.keys(given)
  if (names.length > TRIGGERS_MAX) checker.add(['spec', 'triggers'], `expected at most ${TRIGGERS_MAX} triggers, got ${names.length}`)
  const triggers: TriggerConfig[] = []
  for (const name of names) {
    const path = ['spec', 'triggers', name]
    if (checker.valueAt([...path, 'disabled']) === true) {
      notices.add(path, 'is disabled and left out')
      continue
    }
    const kind = triggerKind(checker, name)
    const trigger = kind && compileTrigger(checker, notices, name, kind, context)
    if (trigger) triggers.push(trigger)
  }
  return checker.problems.count === before ? triggers : null
}

function triggerKind(checker: Checker, name: string): TriggerKind | null {
  const path = ['spec', 'triggers', name]
  const value = checker.valueAt(path)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    checker.add(path, `expected a map, got ${value === undefined ? 'nothing' : shown(value)}`)
    return null
  }
  const kind = checker.valueAt([...path, 'kind'])
  const found = TRIGGER_KINDS.find((known) => known === kind)
  if (found) return found
  const isNuclios = OTHER_TRIGGER_KINDS.includes(String(kind))
  const meant = typeof kind === 'string' && !isNuclios ? guess(kind, TRIGGER_KINDS) : null
  const hint = isNuclios ? `trigger kind ${kind} is not on this version` : meant ? `did you mean "${meant}"?` : null
  checker.add([...path, 'kind'], `expected one of ${TRIGGER_KINDS.join(', ')}, got ${kind === undefined ? 'nothing' : shown(kind)}`, hint)
  return null
}

function compileTrigger(checker: Checker, notices: Notices, name: string, kind: TriggerKind, context: Context): TriggerConfig | null {
  const path = ['spec', 'triggers', name]
  const given = checker.check(triggerSchemas[kind], path)
  if (!given) return null
  if (given.numWorkers !== undefined && given.maxWorkers !== undefined && given.numWorkers !== given.maxWorkers) {
    checker.add(
      [...path, 'maxWorkers'],
      `expected the same as numWorkers (${given.numWorkers}), got ${given.maxWorkers}`,
      'it is the old name; leave it out',
    )
  }
  notices.withoutEffect(path, given, TRIGGER_WITHOUT_EFFECT)
  notices.withoutEffect([...path, 'attributes'], given.attributes, ATTRIBUTES_WITHOUT_EFFECT[kind])
  const base = {
    name,
    numWorkers: given.numWorkers ?? given.maxWorkers ?? 1,
    concurrency: given.concurrency ?? RUNTIMES[context.runtime].concurrency,
    delivery: given.delivery ?? (kind === 'http' ? 'direct' : 'durable'),
    orderKey: given.orderKey ?? (kind === 'mqtt' ? 'topic' : kind === 'cron' ? 'source' : 'none'),
    workerAvailabilityTimeoutMs: given.workerAvailabilityTimeoutMilliseconds,
    annotations: given.annotations,
  } satisfies TriggerBase
  switch (given.kind) {
    case 'mqtt':
      return compileMqtt(checker, name, given, base)
    case 'http':
      return compileHttp(checker, notices, given, base, context)
    case 'cron':
      return compileCron(checker, name, given, base)
    default:
      return given satisfies never
  }
}

function compileMqtt(checker: Checker, name: string, { url, attributes }: Mqtt, base: TriggerBase): TriggerConfig | null {
  if (url !== undefined && url !== '' && url !== 'local') {
    const message = 'an outside broker is not supported by this version'
    checker.add(['spec', 'triggers', name, 'url'], message, "leave url out to use the device's own broker")
    return null
  }
  const subscriptions = attributes.subscriptions.map(({ topic, qos }) => ({ topic, qos: qos as 0 | 1 | 2 }))
  return { ...base, kind: 'mqtt', subscriptions, url: null }
}

function compileHttp(
  checker: Checker,
  notices: Notices,
  { url, attributes }: Http,
  base: TriggerBase,
  { functionName }: Context,
): TriggerConfig {
  const path = ['spec', 'triggers', base.name]
  if (url) notices.add([...path, 'url'], 'has no effect here: the agent decides where it listens, see attributes.port')
  const port = attributes.port ?? null
  const cors = attributes.cors?.enabled ? compileCors(attributes.cors) : null
  if (cors?.allowCredentials && cors.allowOrigins.includes('*')) {
    checker.add([...path, 'attributes', 'cors'], 'expected named origins, because credentials are allowed, got all', 'write allowOrigins')
  }
  return {
    ...base,
    kind: 'http',
    port,
    paths: attributes.paths ?? [port === null ? `/${functionName}` : '/'],
    maxRequestBodyBytes: attributes.maxRequestBodySize,
    cors,
  }
}

/** With Nuclio's defaults. */
function compileCors(cors: NonNullable<Http['attributes']['cors']>): CorsConfig {
  return {
    allowOrigins: cors.allowOrigins ?? [cors.allowOrigin ?? '*'],
    allowMethods: cors.allowMethods ?? ['HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    allowHeaders: cors.allowHeaders ?? ['Accept', 'Content-Length', 'Content-Type', 'X-nuclio-log-level'],
    allowCredentials: cors.allowCredentials,
    preflightMaxAgeSeconds: cors.preflightMaxAgeSeconds,
  }
}

function compileCron(checker: Checker, name: string, { attributes }: Cron, base: TriggerBase): TriggerConfig | null {
  const path = ['spec', 'triggers', name, 'attributes']
  const { schedule, interval, event, timezone } = attributes
  if ((schedule === undefined) === (interval === undefined)) {
    checker.add(path, `expected one of schedule and interval, got ${schedule === undefined ? 'neither' : 'both'}`)
    return null
  }
  const compiled = schedule === undefined ? { intervalMs: interval! } : compileSchedule(schedule)
  return {
    ...base,
    kind: 'cron',
    schedule: 'schedule' in compiled ? compiled.schedule : null,
    intervalMs: 'intervalMs' in compiled ? compiled.intervalMs : null,
    body: event.body,
    headers: Object.fromEntries(Object.entries(event.headers).map(([key, value]) => [key, String(value)])),
    timezone: timezone ?? null,
  }
}

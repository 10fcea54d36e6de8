/** How an mqtt trigger reaches a broker that is not the device's own: what may be written in function.yaml and what becomes of it. */
import * as v from 'valibot'
import type { Checker } from '../check.ts'
import { duration, integer, size, text } from '../fields.ts'
import type { Path } from '../yaml-source.ts'

export interface OutsideBroker {
  /** mqtt, mqtts, ws or wss, without credentials; tried in turn, the first one first. */
  readonly urls: readonly string[]
  readonly protocolVersion: 4 | 5
  /** null: `dunlin-<host>-<random of this device>-<function>-<trigger>`. */
  readonly clientId: string | null
  /** Text, or `${NAME}` of the agent's environment. */
  readonly username: string | null
  readonly password: string | null
  readonly usernameFile: string | null
  readonly passwordFile: string | null
  readonly cleanSession: boolean
  /** MQTT 5: how long the broker keeps the session without a connection; null: for ever. */
  readonly sessionExpirySeconds: number | null
  readonly keepAliveSeconds: number
  /** Messages that wait for their commit at the most. MQTT 5 tells it to the broker. */
  readonly receiveMaximum: number
  readonly messageBytesMax: number
  readonly caFile: string | null
  readonly certFile: string | null
  readonly keyFile: string | null
  readonly servername: string | null
  readonly alpn: readonly string[]
  /** Where the handler's answers go; `{topic}` is the event's. null: nowhere, but to a response topic (MQTT 5). */
  readonly resultTopic: string | null
  readonly resultQos: 0 | 1 | 2
}

const MiB = 1024 * 1024
const DAY_MS = 86_400_000
const URL_EXPECTED = 'the URL of a broker such as "mqtts://broker.example:8883" (mqtt, mqtts, ws or wss)'
const FILE_EXPECTED = 'the absolute path of a file'
const RESULT_TOPIC_EXPECTED = 'a topic without "+" and "#", where "{topic}" stands for that of the event'

export const qos = v.pipe(v.number(), v.integer('0, 1 or 2'), v.minValue(0, '0, 1 or 2'), v.maxValue(2, '0, 1 or 2'))

const brokerUrl = v.pipe(v.string(), v.check(isBrokerUrl, URL_EXPECTED))
const file = v.pipe(text(), v.regex(/^\//, FILE_EXPECTED))

/** `local` and nothing are the device's own broker. */
export const urlField = v.pipe(
  v.string(),
  v.check((given) => given === '' || given === 'local' || isBrokerUrl(given), URL_EXPECTED),
)

/** Attributes that only mean something for an outside broker. */
export const outsideAttributes = {
  /** Brokers of the same cluster, tried in turn after `url`. */
  urls: v.optional(v.pipe(v.array(brokerUrl), v.maxLength(8, 'at most 8 brokers'))),
  /** Default `dunlin-<host>-<random of this device>-<function>-<trigger>`; the same over restarts. */
  clientID: v.optional(text(256)),
  /** Default 4 (MQTT 3.1.1), Nuclio's. */
  protocolVersion: v.optional(v.picklist([4, 5])),
  /** Default false: the broker keeps what comes while the device is away. */
  cleanSession: v.optional(v.boolean()),
  /** MQTT 5. Default: never. */
  sessionExpiry: v.optional(duration({ min: 0, max: 3650 * DAY_MS })),
  /** Default 30 s: a dead connection is seen within 45 s. */
  keepAlive: v.optional(duration({ min: 1_000, max: 65_535_000 })),
  /** Default 1000: as many messages share commits. */
  receiveMaximum: v.optional(integer({ min: 1, max: 65_535 })),
  /** Default 4 MiB: a larger message is acknowledged, dropped and told in the log, for it would come for ever. */
  maxMessageSize: v.optional(size({ min: MiB / 8, max: 32 * MiB })),
  usernameFile: v.optional(file),
  passwordFile: v.optional(file),
  /** PEM, beside or instead of the system's own authorities. */
  caFile: v.optional(file),
  certFile: v.optional(file),
  keyFile: v.optional(file),
  /** The name that the broker's certificate must have. Default: that of the URL. */
  servername: v.optional(text(253)),
  alpn: v.optional(v.pipe(v.array(text(255)), v.maxLength(8, 'at most 8 protocols'))),
  resultTopic: v.optional(v.pipe(text(1024), v.regex(/^[^+#\0]+$/, RESULT_TOPIC_EXPECTED))),
  /** Default 1. */
  resultQos: v.optional(qos),
}

type Attributes = v.InferOutput<v.StrictObjectSchema<typeof outsideAttributes, undefined>>

export interface GivenLogin {
  readonly username: string | undefined
  readonly password: string | undefined
}

export function isOutside(url: string | undefined): url is string {
  return url !== undefined && url !== '' && url !== 'local'
}

/** null after a problem. */
export function compileOutside(
  url: string,
  { username, password }: GivenLogin,
  attributes: Attributes,
  checker: Checker,
  path: Path,
): OutsideBroker | null {
  const before = checker.problems.count
  const at = (name: string) => [...path, 'attributes', name]
  const { certFile, keyFile, usernameFile, passwordFile, protocolVersion = 4 } = attributes
  if ((certFile === undefined) !== (keyFile === undefined)) {
    checker.add(at(certFile === undefined ? 'keyFile' : 'certFile'), 'expected certFile and keyFile together, got one of them')
  }
  const isTwice = (name: string) => checker.add(at(`${name}File`), `expected ${name} or ${name}File, got both`, 'leave one of them out')
  if (username !== undefined && usernameFile !== undefined) isTwice('username')
  if (password !== undefined && passwordFile !== undefined) isTwice('password')
  if (attributes.sessionExpiry !== undefined && protocolVersion === 4) {
    checker.add(at('sessionExpiry'), 'expected protocolVersion 5, got 4', 'MQTT 3.1.1 leaves it to the broker; cleanSession is all it has')
  }
  if (hasLogin(url)) addLogin(checker, [...path, 'url'])
  for (const [index, other] of (attributes.urls ?? []).entries()) if (hasLogin(other)) addLogin(checker, [...at('urls'), index])
  if (checker.problems.count !== before) return null
  return {
    urls: [...new Set([url, ...(attributes.urls ?? [])].map(withMqttScheme))],
    protocolVersion,
    clientId: attributes.clientID ?? null,
    username: username ?? null,
    password: password ?? null,
    usernameFile: usernameFile ?? null,
    passwordFile: passwordFile ?? null,
    cleanSession: attributes.cleanSession ?? false,
    sessionExpirySeconds: attributes.sessionExpiry === undefined ? null : Math.ceil(attributes.sessionExpiry / 1000),
    keepAliveSeconds: Math.ceil((attributes.keepAlive ?? 30_000) / 1000),
    receiveMaximum: attributes.receiveMaximum ?? 1000,
    messageBytesMax: attributes.maxMessageSize ?? 4 * MiB,
    caFile: attributes.caFile ?? null,
    certFile: certFile ?? null,
    keyFile: keyFile ?? null,
    servername: attributes.servername ?? null,
    alpn: attributes.alpn ?? [],
    resultTopic: attributes.resultTopic ?? null,
    resultQos: (attributes.resultQos ?? 1) as 0 | 1 | 2,
  }
}

/** Nuclio's names for the same. */
function withMqttScheme(url: string): string {
  return url.replace(/^tcp:/, 'mqtt:').replace(/^ssl:/, 'mqtts:')
}

function isBrokerUrl(given: string): boolean {
  const url = URL.parse(given)
  return url !== null && /^(mqtts?|wss?|tcp|ssl):$/.test(url.protocol) && url.hostname !== ''
}

function hasLogin(given: string): boolean {
  const { username, password } = new URL(given)
  return username !== '' || password !== ''
}

/** It would be in every log line that names the broker, so not even the error shows it. */
function addLogin(checker: Checker, path: Path): void {
  checker.add(
    path,
    'expected a URL without user and password, got one with them',
    'write username and password (or their files) beside url',
  )
}

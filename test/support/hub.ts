/** A real hub on port 0 in a folder of its own: in process, or as a child that can be killed. And what a device and an operator do with it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request, type RequestOptions } from 'node:https'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect as connectMqtt, connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { Publisher, type OnlineKeys } from '../../agent/publisher/publisher.ts'
import { parseHubConfig, type HubOverrides } from '../../config/hub-config.ts'
import type { Listen } from '../../config/listen.ts'
import type { EnrolResponse } from '../../config/wire.ts'
import { openLogger, type Logger } from '../../runtime/base/log.ts'
import { openHub, type Hub } from '../../hub/hub.ts'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly bytes: Buffer
  /** Tests look into answers of many shapes. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly json: any
}

export interface TestDevice extends EnrolResponse {
  readonly key: string
}

export interface TestHub {
  readonly dataDir: string
  readonly url: string
  readonly api: Listen
  readonly gateway: Listen
  readonly ca: string
  readonly token: string
  /** Of a hub in process. */
  readonly hub: Hub | undefined
  readonly child: ChildProcess | undefined
  /** What the hub has logged so far. */
  log(): string
  stop(): Promise<void>
}

export interface StartOptions {
  readonly dataDir?: string
  readonly overrides?: HubOverrides
  readonly logger?: Logger
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'dunlin-hub-'))
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true })
}

export async function startHub({ dataDir = temporaryFolder(), overrides = {}, logger }: StartOptions = {}): Promise<TestHub> {
  const lines: string[] = []
  const sink = { write: (line: string) => void lines.push(line) } as unknown as NodeJS.WritableStream
  const config = parseHubConfig('', 'hub.yaml', { dataDir, api: '127.0.0.1:0', gateway: '127.0.0.1:0', ...overrides })
  const hub = await openHub({ config, logger: logger ?? openLogger({ level: 'debug', name: 'hub', destination: sink }) })
  return { ...reach(dataDir, hub.api, hub.gateway), hub, child: undefined, log: () => lines.join(''), stop: () => hub.close() }
}

/** The hub as a process of its own, to be killed. */
export async function spawnHub(dataDir: string, flags: readonly string[] = []): Promise<TestHub> {
  const args = [
    join(import.meta.dirname, '../../hub/main.ts'),
    '--data-dir',
    dataDir,
    '--api-listen',
    '127.0.0.1:0',
    '--gateway-listen',
    '127.0.0.1:0',
    ...flags,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
  const exit = once(child, 'exit')
  const first = await Promise.race([once(createInterface(child.stdout), 'line'), exit.then(() => undefined)])
  if (!first) throw new Error(`The hub ended before it was ready: ${log}`)
  const { api, gateway } = JSON.parse(first[0]) as { api: Listen; gateway: Listen }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
    await exit
  }
  return { ...reach(dataDir, api, gateway), hub: undefined, child, log: () => log, stop }
}

function reach(dataDir: string, api: Listen, gateway: Listen) {
  const ca = readFileSync(join(dataDir, 'ca/ca.pem'), 'utf8')
  const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
  return { dataDir, api, gateway, ca, token, url: `https://127.0.0.1:${api.port}` }
}

export type CallOptions = Omit<RequestOptions, 'headers'> & {
  body?: string | Buffer | object
  as?: TestDevice | string
  headers?: OutgoingHttpHeaders
}

/** One request on a connection of its own. `as`: the operator unless said otherwise; 'nobody', or a bearer token. */
export async function call(
  hub: TestHub,
  method: string,
  path: string,
  { body, as, headers, ...options }: CallOptions = {},
): Promise<Answer> {
  const isJson = body !== undefined && typeof body === 'object' && !Buffer.isBuffer(body)
  const content = isJson ? JSON.stringify(body) : body
  const bearer = as === undefined ? hub.token : typeof as === 'string' && as !== 'nobody' ? as : undefined
  const certificate = typeof as === 'object' ? { cert: as.certificate, key: as.key } : {}
  const sent = request({
    host: hub.api.host,
    port: hub.api.port,
    path,
    method,
    ca: hub.ca,
    agent: false,
    ...certificate,
    headers: {
      ...(bearer ? { Authorization: `Bearer ${bearer}` } : {}),
      ...(isJson ? { 'Content-Type': 'application/json' } : {}),
      ...(content === undefined ? {} : { 'Content-Length': Buffer.byteLength(content) }),
      ...headers,
    },
    ...options,
  })
  sent.end(content)
  const [response] = await once(sent, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk)
  const bytes = Buffer.concat(chunks)
  let json
  try {
    json = JSON.parse(bytes.toString())
  } catch {
    json = undefined
  }
  return { status: response.statusCode, headers: response.headers, bytes, json }
}

/** Puts the files of a bundle, signs it and publishes it. */
export async function publish(
  hub: TestHub,
  publisher: Publisher,
  name: string,
  version: number,
  files: Record<string, string> = { 'function.yaml': 'spec: {}\n' },
): Promise<Answer> {
  const entries = Object.entries(files).map(([path, text]) => ({ path, size: Buffer.byteLength(text), sha256: sha256(text) }))
  for (const [path, text] of Object.entries(files))
    await call(hub, 'PUT', `/v1/blobs/${entries.find((entry) => entry.path === path)!.sha256}`, { body: text })
  const manifest = JSON.stringify({ dunlin: 1, name, version, files: entries, config: 'function.yaml' })
  const targets = publisher.add(await newestTargets(hub), { name, version, manifest })
  return call(hub, 'POST', '/v1/functions', { body: { manifest, targets } })
}

export function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex')
}

/** Makes a publisher and gives the hub its first root and targets. */
export async function initialiseTrust(hub: TestHub, folder = join(hub.dataDir, 'publisher-of-the-test')): Promise<Publisher> {
  const publisher = Publisher.open(folder)
  const { json } = await call(hub, 'GET', '/v1/tuf/online-keys')
  const answer = await call(hub, 'POST', '/v1/tuf/init', { body: publisher.initialise(json as OnlineKeys) })
  if (answer.status !== 200) throw new Error(`Trust was not initialised: ${answer.bytes}`)
  return publisher
}

export async function newestTargets(hub: TestHub): Promise<string> {
  const { json } = await call(hub, 'GET', '/v1/status')
  return (await call(hub, 'GET', `/v1/tuf/${json.trust.targetsVersion}.targets.json`)).bytes.toString()
}

export async function claimToken(hub: TestHub, options: { uses?: number; expiresInMs?: number } = {}): Promise<string> {
  return (await call(hub, 'POST', '/v1/claim-tokens', { body: options })).json.token
}

export interface EnrolBody {
  readonly token: string
  readonly name: string
  readonly publicKey: string
  readonly proof: string
}

export function enrolBody(
  token: string,
  name: string,
  keys = generateKeyPairSync('ec', { namedCurve: 'P-256' }),
): EnrolBody & { key: string } {
  const publicKey = keys.publicKey.export({ type: 'spki', format: 'pem' }).toString()
  const proof = sign('sha256', Buffer.from(`dunlin-enrol\n${token}\n${name}\n${publicKey}`), keys.privateKey).toString('base64')
  return { token, name, publicKey, proof, key: keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
}

export async function enrol(hub: TestHub, name: string, token?: string): Promise<TestDevice> {
  const { key, ...body } = enrolBody(token ?? (await claimToken(hub)), name)
  const answer = await call(hub, 'POST', '/device/v1/enrol', { as: 'nobody', body })
  if (answer.status !== 200) throw new Error(`Not enrolled: ${answer.bytes}`)
  return { ...answer.json, key }
}

export function closed(link: MqttClient): Promise<void> {
  return new Promise((resolve) => link.once('close', () => resolve()))
}

/** Resolves when the gateway did not let the client in; a client that was let in is an error. */
export function refusal(hub: TestHub, options: IClientOptions): Promise<void> {
  const link = connectMqtt(`mqtts://127.0.0.1:${hub.gateway.port}`, { ca: hub.ca, reconnectPeriod: 0, protocolVersion: 4, ...options })
  return new Promise((resolve, reject) => {
    link.on('error', () => {})
    link.once('connect', () => reject(new Error('The client was let in')))
    link.once('close', () => resolve())
  })
}

/** An MQTT connection with the device's certificate. No reconnecting: a test sees the end. */
export function connectDevice(hub: TestHub, device: TestDevice, options: IClientOptions = {}): Promise<MqttClient> {
  return connectAsync(`mqtts://127.0.0.1:${hub.gateway.port}`, {
    ca: hub.ca,
    cert: device.certificate,
    key: device.key,
    clientId: device.device,
    reconnectPeriod: 0,
    connectTimeout: 10_000,
    protocolVersion: 4,
    ...options,
  })
}

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { once } from 'node:events'
import type { ExecutionContext } from 'ava'
import { silentLogger } from '../../runtime/base/log.ts'
import { HeadWriter, findItem, itemsOf } from '../../runtime/event/head.ts'
import { AT, Flag, Kind, Tag } from '../../runtime/event/record.ts'
import { openProcessChannel, type ProcessChannel } from '../../runtime/shared-memory/process-channel.ts'
import type { ProtocolError } from '../../runtime/base/errors.ts'
import { headerOf, seen, type SeenRecord } from './ring-pair.ts'

const GUEST = fileURLToPath(new URL('../../runtime/shared-memory/guests/python/main.py', import.meta.url))

export interface EventFields {
  readonly head?: HeadWriter
  readonly flags?: number
  readonly attempt?: number
  readonly timeUs?: bigint
  readonly id?: string
}

/** A Python guest running `code`, driven record by record. */
export class PythonGuest {
  readonly directory: string
  readonly process: ProcessChannel
  readonly records: SeenRecord[] = []
  readonly broken: ProtocolError[] = []
  readonly exit: Promise<{ code: number | null; signal: string | null }>
  output = ''
  #ticket = 100
  #changed = Promise.withResolvers<void>()
  /** Answers STATE_GET and CALL when set. */
  onRequest: (record: SeenRecord) => void = () => {}

  constructor(t: ExecutionContext, code: string, options: { ringBytes?: number; main?: string } = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'dunlin-python-'))
    mkdirSync(this.directory, { recursive: true })
    writeFileSync(join(this.directory, 'fn.py'), code)
    this.process = openProcessChannel({
      command: 'python3',
      args: ['-u', options.main ?? GUEST],
      env: { PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1' },
      cwd: this.directory,
      logger: silentLogger,
      ...(options.ringBytes === undefined ? {} : { ringBytes: options.ringBytes }),
    })
    const { child, channel } = this.process
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.output += chunk.toString()))
    // 'close', not 'exit': what was printed has been read then.
    this.exit = once(child, 'close').then(([code, signal]: (number | string | null)[]) => {
      channel.poll(100_000)
      this.#notify()
      return { code: code as number | null, signal: signal as string | null }
    })
    channel.onRecord = (view) => {
      const record = seen(view)
      this.records.push(record)
      if (record.kind === Kind.stateGet || record.kind === Kind.call) this.onRequest(record)
      this.#notify()
    }
    channel.onBroken = (error) => {
      this.broken.push(error)
      this.#notify()
    }
    t.teardown(async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await this.exit
      channel.close()
      rmSync(this.directory, { recursive: true, force: true })
    })
  }

  /** INIT; resolves with READY or INIT_FAILED. */
  async init(handler = 'fn:handler', more: object = {}): Promise<SeenRecord> {
    const init = {
      protocol: 1,
      function: { name: 'thing', version: 'v7' },
      handler,
      directory: this.directory,
      workerId: 3,
      triggers: [{ name: 'sensors', kind: 'mqtt', class: 'async' }],
      stateExclusive: true,
      logLevel: 'debug',
      concurrency: 64,
      ...more,
    }
    this.send(Kind.init, 1, null, Buffer.from(JSON.stringify(init)))
    return this.until((record) => record.kind === Kind.ready || record.kind === Kind.initFailed)
  }

  send(
    kind: number,
    ticket: number,
    head: Uint8Array | null,
    body: Uint8Array | null,
    fields: { flags?: number; status?: number } = {},
  ): void {
    if (!this.process.channel.write(headerOf({ kind, ticket, ...fields }), head, body)) throw new Error('No room')
    this.process.channel.flush()
  }

  /** Sends an event; returns its ticket. */
  post(body: string | Buffer, fields: EventFields = {}): number {
    const ticket = this.#ticket++
    const header = headerOf({ ticket, flags: fields.flags ?? 0 })
    header.writeUInt16LE(fields.attempt ?? 1, AT.attempt)
    if (fields.timeUs !== undefined) header.writeBigUInt64LE(fields.timeUs, AT.timeUs)
    if (fields.id !== undefined) header.write(fields.id.replaceAll('-', ''), AT.id, 'hex')
    if (!this.process.channel.write(header, fields.head?.bytes() ?? null, Buffer.from(body))) throw new Error('No room')
    this.process.channel.flush()
    return ticket
  }

  /** Sends an event and waits for its RESULT. */
  async call(body: string | Buffer, fields: EventFields = {}): Promise<SeenRecord> {
    return this.result(this.post(body, fields))
  }

  result(ticket: number): Promise<SeenRecord> {
    return this.until((record) => record.kind === Kind.result && record.ticket === ticket)
  }

  async until(matches: (record: SeenRecord) => boolean): Promise<SeenRecord> {
    for (;;) {
      const found = this.records.find(matches)
      if (found !== undefined) return found
      const { exitCode, signalCode } = this.process.child
      if (exitCode !== null || signalCode !== null) throw new Error(`Guest exited with ${exitCode ?? signalCode}: ${this.output}`)
      await this.#changed.promise
    }
  }

  /** What the guest wrote for an event before its RESULT. */
  of(ticket: number, kind: number): SeenRecord[] {
    return this.records.filter((record) => record.ticket === ticket && record.kind === kind)
  }

  answerState(record: SeenRecord, value: Buffer | null): void {
    this.send(Kind.stateValue, record.ticket, null, value, { flags: value === null ? Flag.absent : 0 })
  }

  stop(): Promise<{ code: number | null; signal: string | null }> {
    this.send(Kind.stop, 0, null, null)
    return this.exit
  }

  #notify(): void {
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

export function headWith(items: readonly (readonly [Tag, string, string?])[]): HeadWriter {
  const head = new HeadWriter()
  for (const [tag, value, key] of items) head.add(tag, value, key)
  return head
}

export const text = (record: SeenRecord): string => record.body.toString()
export const json = (record: SeenRecord): unknown => JSON.parse(record.body.toString())
export const item = (record: SeenRecord, tag: Tag, key?: string): string | undefined => findItem(record.head, tag, key)
export const headers = (record: SeenRecord): Record<string, string> => ({ ...itemsOf(record.head, Tag.header) })

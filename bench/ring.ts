import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger } from '../runtime/base/log.ts'
import { AT, Kind, RECORD_HEADER_BYTES } from '../runtime/event/record.ts'
import type { Channel } from '../runtime/shared-memory/channel.ts'
import { openProcessChannel } from '../runtime/shared-memory/process-channel.ts'
import { printFigures, printTable, quantile, usageOf } from './support.ts'

/**
 * A Python handler that echoes: over the ring with many and with one event in flight, and behind JSON lines on a Unix socket,
 * one at a time, as the reference. Rounds alternate, and each figure is the median of its rounds.
 */
export async function run(): Promise<void> {
  const ring = await openRing()
  const json = await openJson()
  const rounds = 5
  const taken = CASES.map(() => [] as Measured[])
  const references = { small: [] as Measured[], large: [] as Measured[] }
  for (let round = 0; round < rounds; round++) {
    references.small.push(await measure(json.echo, { events: 4000, inFlight: 1, bytes: 256 }, json.pid))
    references.large.push(await measure(json.echo, { events: 40, inFlight: 1, bytes: 1 << 20 }, json.pid))
    for (const [index, each] of CASES.entries()) taken[index]!.push(await measure(ring.echo, each, ring.pid))
  }
  const ours = taken.map(median)
  const small = median(references.small)
  const large = median(references.large)
  const [wide, , one, big] = ours as [Measured, Measured, Measured, Measured]
  printTable('Ring echo, Python handler, against one-at-a-time JSON over a Unix socket', [
    { what: '256 B, 1,024 in flight', ours: wide.perSecond, reference: small.perSecond, unit: 'events/s', reach: '>= 10' },
    { what: '256 B, 16 in flight', ours: ours[1]!.perSecond, reference: small.perSecond, unit: 'events/s', reach: '>= 1' },
    { what: '256 B, 1 in flight', ours: one.medianUs, reference: small.medianUs, unit: 'us, median', reach: '<= 1' },
    { what: '1 MiB, 1 in flight', ours: big.medianUs, reference: large.medianUs, unit: 'us, median', reach: '<= 0.1' },
  ])
  const figures = (name: string, each: Measured) =>
    [name, each.perSecond, each.medianUs, each.p99Us, each.cpuSecondsPerThousand, each.guestCpuSecondsPerThousand] as const
  printFigures(
    'Both processes',
    [
      ...CASES.map((each, index) => figures(`ring, ${each.bytes} B, ${each.inFlight} in flight`, ours[index]!)),
      figures('JSON, 256 B', small),
      figures('JSON, 1048576 B', large),
    ],
    ['events/s', 'median us', 'p99 us', 'CPU s/1,000', 'of it Python'],
  )
  printFigures(
    'Resident memory',
    [
      ['this process', usageOf('self').rssMegabytes],
      ['Python guest', usageOf(ring.pid).rssMegabytes],
      ['Python, JSON reference', usageOf(json.pid).rssMegabytes],
    ],
    ['MB'],
  )
  await ring.close()
  await json.close()
}

export interface Case {
  readonly events: number
  readonly inFlight: number
  readonly bytes: number
}

const CASES: readonly Case[] = [
  { events: 200_000, inFlight: 1024, bytes: 256 },
  { events: 60_000, inFlight: 16, bytes: 256 },
  { events: 8000, inFlight: 1, bytes: 256 },
  { events: 100, inFlight: 1, bytes: 1 << 20 },
]

export interface Measured {
  readonly perSecond: number
  readonly medianUs: number
  readonly p99Us: number
  readonly cpuSecondsPerThousand: number
  readonly guestCpuSecondsPerThousand: number
}

/** Sends `events` bodies, `inFlight` at a time, calling `done(number)` for each answer. */
type Echo = (each: Case, started: (number: number) => void, done: (number: number) => void) => Promise<void>

export async function measure(echo: Echo, each: Case, pid: number): Promise<Measured> {
  const startedAt = new Float64Array(each.events)
  const tookMs = new Float64Array(each.events)
  const before = { self: usageOf('self'), guest: usageOf(pid) }
  const from = performance.now()
  await echo(
    each,
    (number) => (startedAt[number] = performance.now()),
    (number) => (tookMs[number] = performance.now() - startedAt[number]!),
  )
  const seconds = (performance.now() - from) / 1000
  const guestCpu = usageOf(pid).cpuSeconds - before.guest.cpuSeconds
  const cpu = usageOf('self').cpuSeconds - before.self.cpuSeconds + guestCpu
  tookMs.sort()
  return {
    perSecond: each.events / seconds,
    medianUs: quantile(tookMs, 0.5) * 1000,
    p99Us: quantile(tookMs, 0.99) * 1000,
    cpuSecondsPerThousand: (cpu / each.events) * 1000,
    guestCpuSecondsPerThousand: (guestCpu / each.events) * 1000,
  }
}

/** The median of each figure by itself. */
export function median(rounds: readonly Measured[]): Measured {
  const of = (key: keyof Measured): number => quantile(Float64Array.from(rounds, (round) => round[key]).sort(), 0.5)
  return {
    perSecond: of('perSecond'),
    medianUs: of('medianUs'),
    p99Us: of('p99Us'),
    cpuSecondsPerThousand: of('cpuSecondsPerThousand'),
    guestCpuSecondsPerThousand: of('guestCpuSecondsPerThousand'),
  }
}

export interface Opened {
  readonly echo: Echo
  readonly pid: number
  close(): Promise<void>
}

const REFERENCE = fileURLToPath(new URL('./reference/', import.meta.url))
const GUEST = fileURLToPath(new URL('../runtime/shared-memory/guests/python/main.py', import.meta.url))

async function openRing(): Promise<Opened> {
  const { channel, child } = openProcessChannel({
    command: 'python3',
    args: ['-u', GUEST],
    env: process.env,
    cwd: REFERENCE,
    logger: silentLogger,
  })
  child.stderr!.pipe(process.stderr)
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  const ready = Promise.withResolvers<void>()
  channel.onRecord = (view) => (view.kind === Kind.ready ? ready.resolve() : ready.reject(new Error('The guest did not start')))
  header[AT.kind] = Kind.init
  channel.write(
    header,
    null,
    Buffer.from(JSON.stringify({ protocol: 1, handler: 'echo_handler:handler', directory: REFERENCE, concurrency: 1024 })),
  )
  channel.flush()
  await ready.promise
  return {
    pid: child.pid!,
    echo: (each, started, done) => ringEcho(channel, each, started, done),
    async close() {
      header[AT.kind] = Kind.stop
      channel.write(header, null, null)
      channel.flush()
      await once(child, 'exit')
      channel.close()
    },
  }
}

export function ringEcho(channel: Channel, each: Case, started: (number: number) => void, done: (number: number) => void): Promise<void> {
  const finished = Promise.withResolvers<void>()
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header[AT.kind] = Kind.event
  const body = Buffer.alloc(each.bytes, 0x61)
  let sent = 0
  let answered = 0
  let fillAt = 0
  const fill = (): void => {
    while (sent < each.events && sent - answered < each.inFlight) {
      header.writeUInt32LE(sent, AT.ticket)
      started(sent)
      if (!channel.write(header, null, body)) break
      sent++
    }
    fillAt = answered + (each.inFlight >> 2)
    channel.flush()
  }
  channel.onWritable = fill
  channel.onRecord = (view) => {
    if (view.kind !== Kind.result || view.status !== 200 || view.body.length !== each.bytes)
      return finished.reject(new Error('A wrong answer'))
    done(view.ticket)
    answered++
    if (answered === each.events) finished.resolve()
    else if (answered >= fillAt) fill()
  }
  fill()
  return finished.promise
}

export async function openJson(): Promise<Opened> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  const path = join(folder, 'json.sock')
  const server = createServer().listen(path)
  await once(server, 'listening')
  const connected: Promise<unknown[]> = once(server, 'connection')
  const child = spawn('python3', [join(REFERENCE, 'json_socket.py'), path], { stdio: ['ignore', 'inherit', 'inherit'] })
  const [socket] = (await connected) as [Socket]
  return {
    pid: child.pid!,
    echo: (each, started, done) => jsonEcho(socket, each, started, done),
    async close() {
      socket.end()
      await once(child, 'exit')
      server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function jsonEcho(socket: Socket, each: Case, started: (number: number) => void, done: (number: number) => void): Promise<void> {
  const body = Buffer.alloc(each.bytes, 0x61)
  let answer: PromiseWithResolvers<Buffer> = Promise.withResolvers()
  let parts: Buffer[] = []
  const onData = (chunk: Buffer): void => {
    parts.push(chunk)
    if (chunk[chunk.length - 1] !== NEW_LINE) return
    answer.resolve(parts.length === 1 ? chunk : Buffer.concat(parts))
    parts = []
  }
  socket.on('data', onData)
  for (let number = 0; number < each.events; number++) {
    answer = Promise.withResolvers()
    started(number)
    socket.write(
      JSON.stringify({ id: number, content_type: 'application/octet-stream', topic: 'plant/1', body: body.toString('base64') }) + '\n',
    )
    const { status, body: echoed } = JSON.parse((await answer.promise).toString()) as { status: number; body: string }
    if (status !== 200 || Buffer.from(echoed, 'base64').length !== each.bytes) throw new Error('A wrong answer')
    done(number)
  }
  socket.off('data', onData)
}

const NEW_LINE = 0x0a

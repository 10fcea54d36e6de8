import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownModule } from '../runtime/base/own-module.ts'
import { silentLogger } from '../runtime/base/log.ts'
import { AT, Kind, RECORD_HEADER_BYTES } from '../runtime/event/record.ts'
import { openProcessChannel, type ProcessChannel } from '../runtime/shared-memory/process-channel.ts'
import { HOST_OPTIONS } from '../runtime/workers/native/native-runtime.ts'
import { measure, median, openJson, ringEcho, type Case, type Measured } from './ring.ts'
import { figure, printFigures, printTable, usageOf } from './support.ts'

/**
 * A C handler that echoes, in its host process over the ring; the reference is that of the ring benchmark. Then what a worker costs:
 * memory, and the time from nothing to its first answer, against a bare Node.
 */
export async function run(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  try {
    buildEcho(folder)
    await echoTable(folder)
    await costs(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const ROUNDS = 3
const STARTS = 5
const NATIVE = fileURLToPath(new URL('../runtime/native/', import.meta.url))
const SOURCE = `
#include <dunlin.h>
DUNLIN_DEFINE_ABI
DUNLIN_EXPORT int32_t dunlin_handle(dunlin_context *context, const dunlin_event *event) {
  dunlin_span body = dunlin_body(event);
  return dunlin_respond(context, event, 200, body.data, body.length);
}
`

const SIZES: readonly (readonly [string, number, number])[] = [
  ['0 B', 0, 100_000],
  ['1 KiB', 1 << 10, 60_000],
  ['64 KiB', 1 << 16, 4000],
  ['1 MiB', 1 << 20, 100],
]
const IN_FLIGHT = [1, 16, 1024] as const

function buildEcho(folder: string): void {
  writeFileSync(join(folder, 'echo.c'), SOURCE)
  execFileSync('gcc', ['-O2', '-shared', '-fPIC', '-I', NATIVE, '-o', join(folder, 'libecho.so'), join(folder, 'echo.c')])
}

async function echoTable(folder: string): Promise<void> {
  const guest = await open(folder)
  const json = await openJson()
  const rows: [string, ...string[]][] = []
  const reference = await measure(json.echo, { events: 2000, inFlight: 1, bytes: 256 }, json.pid)
  let best: Measured | undefined
  for (const [size, bytes, events] of SIZES) {
    const cells: string[] = []
    for (const inFlight of IN_FLIGHT) {
      const each: Case = { events: inFlight === 1 ? Math.ceil(events / 10) : events, inFlight, bytes }
      const rounds: Measured[] = []
      for (let i = 0; i < ROUNDS; i++) {
        rounds.push(await measure((one, started, done) => ringEcho(guest.channel, one, started, done), each, guest.child.pid!))
      }
      const taken = median(rounds)
      if (bytes === 1 << 10 && inFlight === 1024) best = taken
      cells.push(inFlight === 1 ? `${figure(taken.medianUs)} us` : `${figure(taken.perSecond)}/s`)
    }
    rows.push([size, ...cells])
  }
  printFigures('Ring echo, C handler', rows, ['1 in flight', '16', '1,024'])
  printTable('Against one-at-a-time JSON over a Unix socket (256 B, Python)', [
    { what: '1 KiB, 1,024 in flight', ours: best!.perSecond, reference: reference.perSecond, unit: 'events/s', reach: '>= 10' },
  ])
  await json.close()
  await stop(guest)
}

async function costs(folder: string): Promise<void> {
  const starts: number[] = []
  const bare: number[] = []
  let rss = 0
  for (let i = 0; i < STARTS; i++) {
    const from = performance.now()
    const guest = await open(folder)
    await ringEcho(
      guest.channel,
      { events: 1, inFlight: 1, bytes: 0 },
      () => {},
      () => {},
    )
    starts.push(performance.now() - from)
    rss = usageOf(guest.child.pid!).rssMegabytes
    await stop(guest)
    const again = performance.now()
    execFileSync(process.execPath, ['-e', '0'])
    bare.push(performance.now() - again)
  }
  const middle = (values: number[]): number => values.toSorted((a, b) => a - b)[STARTS >> 1]!
  printFigures(
    'One worker',
    [
      ['native: start to first answer', middle(starts), 'ms'],
      ['node -e 0', middle(bare), 'ms'],
      ['native: resident memory', rss, 'MB'],
    ],
    ['', ''],
  )
}

async function open(folder: string): Promise<ProcessChannel> {
  const host = fileURLToPath(ownModule(import.meta.url, '../runtime/native/host-process'))
  const args = [...HOST_OPTIONS, host, String(256 << 20)]
  const opened = openProcessChannel({ command: process.execPath, args, env: process.env, cwd: folder, logger: silentLogger })
  opened.child.stderr!.pipe(process.stderr)
  const ready = Promise.withResolvers<void>()
  opened.child.on('exit', (code, signal) => {
    if (signal || code !== 0) throw new Error(`The host has ended: ${signal ?? code}`)
  })
  opened.channel.onRecord = (view) =>
    view.kind === Kind.ready ? ready.resolve() : ready.reject(new Error(`The host did not start: ${view.head.toString()}`))
  const init = {
    protocol: 1,
    function: { name: 'echo', version: '1' },
    handler: 'libecho.so',
    directory: folder,
    workerId: 0,
    triggers: [{ name: 'in', kind: 'mqtt', class: 'async' }],
    stateExclusive: true,
    concurrency: 1024,
    logLevel: 'info',
  }
  send(opened, Kind.init, Buffer.from(JSON.stringify(init)))
  await ready.promise
  return opened
}

async function stop(guest: ProcessChannel): Promise<void> {
  const exited = once(guest.child, 'exit')
  send(guest, Kind.stop, null)
  await exited
  guest.channel.close()
}

function send({ channel }: ProcessChannel, kind: Kind, body: Buffer | null): void {
  const header = Buffer.alloc(RECORD_HEADER_BYTES)
  header[AT.kind] = kind
  channel.write(header, null, body)
  channel.flush()
}

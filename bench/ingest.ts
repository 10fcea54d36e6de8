/** MQTT QoS 1 into the device's store, acknowledged after fsync; against mosquitto, QoS 1 into one subscriber. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median, printFigures, printTable, usageOf } from './support.ts'
import { freePort, publishQos1, startProcess, type Published } from './load/processes.ts'

const MESSAGES = 200_000
const WINDOW = 1_000
const PAYLOAD_BYTES = 200
const TOPICS = 100
const RUNS = 3

interface Measured extends Published {
  readonly cpuSeconds: number
  readonly rssMegabytes: number
}

export async function run(): Promise<void> {
  const ours: Measured[] = []
  const reference: Measured[] = []
  // In turn, so that a slow moment of the machine falls on both.
  for (let i = 0; i < RUNS; i++) {
    ours.push(await measureOurs())
    reference.push(await measureMosquitto())
  }
  printTable(`MQTT QoS 1 ingest: ${MESSAGES} messages of ${PAYLOAD_BYTES} B on ${TOPICS} topics, ${WINDOW} in flight, median of ${RUNS}`, [
    {
      what: 'acknowledged after fsync / mosquitto into one subscriber',
      ours: perSecond(ours),
      reference: perSecond(reference),
      unit: '1/s',
      reach: '>= 2',
    },
  ])
  printFigures(
    'Broker process (mosquitto: with its subscriber)',
    [
      ['ours', ...figures(ours)],
      ['mosquitto', ...figures(reference)],
    ],
    ['CPU s per 1,000', 'RSS MB'],
  )
}

async function measureOurs(): Promise<Measured> {
  const dataDir = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  const server = await startProcess(process.execPath, [join(import.meta.dirname, 'load/ingest-server.ts'), dataDir], /"port":(\d+)/)
  try {
    const before = usageOf(server.pid).cpuSeconds
    const published = await publishQos1({
      port: Number(server.ready[1]),
      messages: MESSAGES,
      window: WINDOW,
      payloadBytes: PAYLOAD_BYTES,
      topics: TOPICS,
    })
    const { cpuSeconds, rssMegabytes } = usageOf(server.pid)
    return { ...published, cpuSeconds: cpuSeconds - before, rssMegabytes }
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function measureMosquitto(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  const port = await freePort()
  writeFileSync(
    join(folder, 'mosquitto.conf'),
    `listener ${port} 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n`,
  )
  const broker = await startProcess('mosquitto', ['-c', join(folder, 'mosquitto.conf')], /running/)
  const subscriber = await startProcess(
    process.execPath,
    [join(import.meta.dirname, 'load/mqtt-subscriber.ts'), String(port), String(MESSAGES)],
    /subscribed/,
  )
  try {
    const cpu = () => usageOf(broker.pid).cpuSeconds + usageOf(subscriber.pid).cpuSeconds
    const before = cpu()
    const published = await publishQos1({ port, messages: MESSAGES, window: WINDOW, payloadBytes: PAYLOAD_BYTES, topics: TOPICS })
    return { ...published, cpuSeconds: cpu() - before, rssMegabytes: usageOf(broker.pid).rssMegabytes }
  } finally {
    await subscriber.stop()
    await broker.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const rate = ({ acked, seconds }: Published): number => acked / seconds
const perSecond = (runs: readonly Measured[]): number => median(runs.map(rate))
const figures = (runs: readonly Measured[]): [number, number] => [
  median(runs.map(({ cpuSeconds }) => cpuSeconds)) / (MESSAGES / 1000),
  median(runs.map(({ rssMegabytes }) => rssMegabytes)),
]

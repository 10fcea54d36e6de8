/** MQTT QoS 1 -> inbox -> Python handler -> stream, every step committed; against the ingest alone (no function) in the same run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startAgent } from './load/agent.ts'
import { publishQos1, startProcess } from './load/processes.ts'
import { childrenOf, median, printFigures, printTable, usageOf } from './support.ts'

const MESSAGES = 200_000
const RUNS = 3
const LOAD = { messages: MESSAGES, window: 1_000, payloadBytes: 200, topics: 100 }

const copy = {
  'function.yaml': `metadata: { name: copy }
spec:
  runtime: python
  handler: main:handler
  triggers:
    in: { kind: mqtt, attributes: { subscriptions: [{ topic: 'bench/#', qos: 1 }] } }
`,
  'main.py': `def handler(context, event):\n    context.emit('out', event.body)\n`,
}

interface Measured {
  readonly perSecond: number
  readonly cpuSeconds: number
  readonly rssMegabytes: number
}

export async function run(): Promise<void> {
  const ours: Measured[] = []
  const reference: number[] = []
  for (let i = 0; i < RUNS; i++) {
    ours.push(await measurePipeline())
    reference.push(await measureIngest())
  }
  printTable(
    `Pipeline: ${MESSAGES} messages of ${LOAD.payloadBytes} B on ${LOAD.topics} topics through a Python handler, median of ${RUNS}`,
    [
      {
        what: 'committed outputs / ingest alone',
        ours: median(ours.map((run) => run.perSecond)),
        reference: median(reference),
        unit: '1/s',
        reach: '>= 0.4',
      },
    ],
  )
  printFigures(
    'Agent and its Python worker',
    [['together', median(ours.map((run) => run.cpuSeconds)) / (MESSAGES / 1000), median(ours.map((run) => run.rssMegabytes))]],
    ['CPU s per 1,000', 'RSS MB'],
  )
}

async function measurePipeline(): Promise<Measured> {
  const agent = await startAgent(copy)
  try {
    const pids = [agent.process.pid, ...childrenOf(agent.process.pid)]
    const cpu = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0)
    const before = cpu()
    const { startedAtMs } = await publishQos1({ port: agent.brokerPort, ...LOAD })
    while ((await agent.handled()) !== MESSAGES) await wait(20)
    const seconds = (performance.timeOrigin + performance.now() - startedAtMs) / 1000
    if ((await agent.ledger()).streams[0]?.accepted !== MESSAGES) throw new Error('The stream does not hold all outputs')
    return {
      perSecond: MESSAGES / seconds,
      cpuSeconds: cpu() - before,
      rssMegabytes: pids.reduce((sum, pid) => sum + usageOf(pid).rssMegabytes, 0),
    }
  } finally {
    await agent.stop()
  }
}

async function measureIngest(): Promise<number> {
  const dataDir = mkdtempSync(join(tmpdir(), 'dunlin-bench-'))
  const server = await startProcess(process.execPath, [join(import.meta.dirname, 'load/ingest-server.ts'), dataDir], /"port":(\d+)/)
  try {
    const { acked, seconds } = await publishQos1({ port: Number(server.ready[1]), ...LOAD })
    return acked / seconds
  } finally {
    await server.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

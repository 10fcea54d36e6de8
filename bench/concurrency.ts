/** MQTT QoS 1 into an async handler that waits 10 ms: throughput by `concurrency`, against as many times the throughput of one event at a time. */
import { setTimeout as wait } from 'node:timers/promises'
import { startAgent } from './load/agent.ts'
import { publishQos1 } from './load/processes.ts'
import { printTable, type Row } from './support.ts'

const HANDLER_MS = 10
/** Events in flight, and messages: about two seconds each where the handler is the limit. */
const STEPS = [
  [1, 150],
  [16, 2_400],
  [64, 9_600],
  [256, 30_000],
] as const
/** More topics than events in flight: each keeps its order. */
const TOPICS = 1_024

const handlers = {
  nodejs: [
    'main.mjs',
    `import { setTimeout as wait } from 'node:timers/promises'\nexport async function handler(context, event) { await wait(${HANDLER_MS}) }\n`,
  ],
  python: ['main.py', `import asyncio\nasync def handler(context, event):\n    await asyncio.sleep(${HANDLER_MS / 1000})\n`],
} as const

export async function run(): Promise<void> {
  for (const [runtime, [file, source]] of Object.entries(handlers)) {
    const rows: Row[] = []
    let one = 0
    for (const [concurrency, messages] of STEPS) {
      const perSecond = await measure(runtime, file, source, concurrency, messages)
      if (concurrency === 1) one = perSecond
      rows.push({
        what: `${concurrency} in flight`,
        ours: perSecond,
        reference: one * concurrency,
        unit: '1/s',
        // At 256 the agent's own work is the limit, not the handler's waiting.
        reach: concurrency === 256 ? '>= 0.4' : '>= 0.8',
      })
    }
    printTable(`Concurrency: MQTT QoS 1 on ${TOPICS} topics into an async ${runtime} handler of ${HANDLER_MS} ms, one worker`, rows)
  }
}

async function measure(runtime: string, file: string, source: string, concurrency: number, messages: number): Promise<number> {
  const spec = `metadata: { name: wait }
spec:
  runtime: ${runtime}
  triggers:
    in: { kind: mqtt, concurrency: ${concurrency}, attributes: { subscriptions: [{ topic: 'bench/#', qos: 1 }] } }
`
  const agent = await startAgent({ 'function.yaml': spec, [file]: source })
  try {
    const { startedAtMs } = await publishQos1({
      port: agent.brokerPort,
      messages,
      window: 1_000,
      payloadBytes: 200,
      topics: TOPICS,
    })
    while ((await agent.handled()) !== messages) await wait(5)
    return messages / ((performance.timeOrigin + performance.now() - startedAtMs) / 1000)
  } finally {
    await agent.stop()
  }
}

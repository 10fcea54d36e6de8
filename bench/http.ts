/** HTTP to a JavaScript and to a Python handler (wrk, from Debian's packages); against a bare node:http echo in the same run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { startAgent } from './load/agent.ts'
import { startProcess } from './load/processes.ts'
import { childrenOf, median, printFigures, printTable, usageOf, type Row } from './support.ts'

const SECONDS = 4
const CONNECTIONS = 64
const RUNS = 3

const spec = (runtime: string) => `metadata: { name: echo }
spec:
  runtime: ${runtime}
  handler: main:handler
  triggers:
    http: { kind: http, attributes: { paths: ['/'] } }
`
const handlers: Record<string, Record<string, string>> = {
  JavaScript: { 'function.yaml': spec('nodejs'), 'main.mjs': `export const handler = () => 'hello'\n` },
  Python: { 'function.yaml': spec('python'), 'main.py': `def handler(context, event):\n    return 'hello'\n` },
}
const REACH: Record<string, string> = { JavaScript: '>= 0.85', Python: '>= 0.6' }

interface Measured {
  readonly perSecond: number
  readonly cpuPerThousand: number
  readonly rssMegabytes: number
}

export async function run(): Promise<void> {
  const bare: Measured[] = []
  const ours: Record<string, Measured[]> = { JavaScript: [], Python: [] }
  for (let i = 0; i < RUNS; i++) {
    bare.push(await measureBare())
    for (const [name, files] of Object.entries(handlers)) ours[name]!.push(await measureAgent(files))
  }
  const perSecond = (runs: readonly Measured[]) => median(runs.map((run) => run.perSecond))
  printTable(
    `HTTP: wrk, ${CONNECTIONS} connections, ${SECONDS} s, median of ${RUNS}`,
    Object.entries(ours).map(([name, runs]): Row => ({
      what: `${name} handler / bare node:http`,
      ours: perSecond(runs),
      reference: perSecond(bare),
      unit: '1/s',
      reach: REACH[name]!,
    })),
  )
  printFigures(
    'Server processes',
    Object.entries({ ...ours, 'bare node:http': bare }).map(
      ([name, runs]) => [name, median(runs.map((run) => run.cpuPerThousand)), median(runs.map((run) => run.rssMegabytes))] as const,
    ),
    ['CPU s per 1,000', 'RSS MB'],
  )
}

async function measureBare(): Promise<Measured> {
  const server = await startProcess(process.execPath, [join(import.meta.dirname, 'reference/http-echo.ts')], /"port":(\d+)/)
  try {
    return await measure(Number(server.ready[1]), [server.pid])
  } finally {
    await server.stop()
  }
}

async function measureAgent(files: Record<string, string>): Promise<Measured> {
  const agent = await startAgent(files)
  try {
    return await measure(agent.httpPort, [agent.process.pid, ...childrenOf(agent.process.pid)])
  } finally {
    await agent.stop()
  }
}

async function measure(port: number, pids: readonly number[]): Promise<Measured> {
  await wrk(port, 1)
  const cpu = () => pids.reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0)
  const before = cpu()
  const { requests, perSecond } = await wrk(port, SECONDS)
  return {
    perSecond,
    cpuPerThousand: ((cpu() - before) / requests) * 1000,
    rssMegabytes: pids.reduce((sum, pid) => sum + usageOf(pid).rssMegabytes, 0),
  }
}

async function wrk(port: number, seconds: number): Promise<{ requests: number; perSecond: number }> {
  const child = spawn('wrk', ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, `http://127.0.0.1:${port}/`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await Promise.race([
    once(child, 'close'),
    once(child, 'error').then(([error]) => {
      throw new Error('Cannot run wrk: install the package "wrk"', { cause: error })
    }),
  ])
  const requests = /(\d+) requests in/.exec(said)
  const perSecond = /Requests\/sec:\s+([\d.]+)/.exec(said)
  if (!requests || !perSecond || /Non-2xx/.test(said)) throw new Error(`wrk did not measure what it should: ${said}`)
  return { requests: Number(requests[1]), perSecond: Number(perSecond[1]) }
}

import { sleep } from '../../../runtime/base/backoff.ts'
import type { AgentLogLine, HubLogLine } from '../answers.ts'
import type { Call } from '../call.ts'
import { oneLine } from '../table.ts'
import { logText, type LogLine } from '../log-text.ts'

const POLL_MS = 500

export interface LogsOptions {
  readonly device?: string
  readonly limit: number
  readonly follow?: boolean
}

/** Log lines of functions: of this device from its agent, of another one (--device) from the hub. */
export async function logs(call: Call, name: string | undefined, { device, limit, follow }: LogsOptions): Promise<void> {
  const { printer } = call
  const ask =
    device === undefined
      ? (after?: string) => ofAgent(call, name, limit, after)
      : (after?: string) => ofHub(call, device, name, limit, after)
  const first = await ask()
  const text = (line: LogLine) => logText(line, printer)
  if (!follow) {
    printer.result({ lines: first.lines }, () =>
      first.lines.length === 0 ? `No log lines${name ? ` of ${oneLine(name)}` : ''}` : first.lines.map(text).join('\n'),
    )
    return
  }
  for (let page = first; ;) {
    for (const line of page.lines) printer.item(line, () => text(line))
    await sleep(POLL_MS)
    page = await ask(page.next)
  }
}

interface Page {
  readonly lines: readonly LogLine[]
  readonly next: string
}

async function ofAgent({ agent }: Call, name: string | undefined, limit: number, after?: string): Promise<Page> {
  const { lines } = (await agent.get(`/v1/logs?${query({ function: name, limit: String(limit), after })}`)) as { lines: AgentLogLine[] }
  const next = String(lines.at(-1)?.seq ?? after ?? 0)
  return {
    lines: lines.map(({ timeMs, level, function: of, message, fields }) => ({
      time: new Date(timeMs).toISOString(),
      level,
      function: of ?? null,
      message,
      fields: fields ?? null,
    })),
    next,
  }
}

async function ofHub({ hub }: Call, device: string, name: string | undefined, limit: number, after?: string): Promise<Page> {
  const { lines, next } = (await hub.get(`/v1/logs?${query({ device, function: name, limit: String(limit), after })}`)) as {
    lines: HubLogLine[]
    next: string
  }
  return {
    lines: lines.map(({ device: of, time, level, function: by, message, fields }) => ({
      device: of,
      time,
      level,
      function: by,
      message,
      fields: fields ?? null,
    })),
    next,
  }
}

function query(values: Record<string, string | undefined>): string {
  return new URLSearchParams(Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined)).toString()
}

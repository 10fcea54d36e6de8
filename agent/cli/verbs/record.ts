/** `dunlin record`: the next events that a function of this device handles, as cases of `dunlin test`. */
import { stringify } from 'yaml'
import type { Call } from '../call.ts'
import { Exit } from '../exit-codes.ts'

export interface RecordOptions {
  readonly count: number
  readonly timeout: number
}

export async function record({ agent, printer }: Call, name: string, { count, timeout }: RecordOptions): Promise<Exit> {
  if (printer.isTty) printer.remark(`waiting for ${count} events of ${name}, ${timeout} s at the most`)
  const path = `/v1/functions/${encodeURIComponent(name)}/record?count=${count}&timeoutMs=${timeout * 1000}`
  const { cases } = (await agent.get(path)) as { cases: object[] }
  if (cases.length === 0) {
    printer.remark(`dunlin: ${name} handled no event within ${timeout} s`)
    return Exit.failed
  }
  if (cases.length < count) printer.remark(`${cases.length} of ${count} events came`)
  printer.result(
    { cases },
    () => `# Recorded from ${name}; "dunlin test <its folder>" gives them to it again.\n${stringify({ cases }, { lineWidth: 140 })}`,
  )
  return Exit.ok
}

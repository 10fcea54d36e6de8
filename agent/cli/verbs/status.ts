import { describeError, codeOf } from '../../../runtime/base/errors.ts'
import type { AgentLedger, AgentStatus, HubStatus } from '../answers.ts'
import type { Call } from '../call.ts'
import { Exit } from '../exit-codes.ts'
import { statusText } from '../status-text.ts'

/** The rates are counted over this long. */
const RATE_MS = 1000

export interface Rates {
  readonly received: number
  readonly handled: number
  readonly stored: number
  readonly delivered: number
}

export interface StatusView {
  readonly home: string
  readonly hub:
    | ({ readonly url: string; readonly reachable: true } & HubStatus)
    | { readonly url: string; readonly reachable: false; readonly error: string }
    | null
  readonly agent: AgentStatus | null
  /** Events per second. */
  readonly rates: Rates | null
  readonly ledger: (AgentLedger & { readonly balanced: boolean; readonly dead: number }) | null
}

/** One screen: what runs here, and how it is doing. */
export async function status(call: Call): Promise<Exit> {
  const { home, printer } = call
  const [hub, agent] = await Promise.all([hubView(call), agentView(call)])
  if (!agent && !hub?.reachable) {
    const { nothingRunning } = await import('../home.ts')
    throw nothingRunning(home.path)
  }
  const view: StatusView = {
    home: home.path,
    hub,
    agent: agent?.status ?? null,
    rates: agent?.rates ?? null,
    ledger: agent?.ledger ?? null,
  }
  printer.result(view, () => statusText(view, printer))
  return Exit.ok
}

async function hubView(call: Call): Promise<StatusView['hub']> {
  const { hub } = call.home.context
  if (!hub) return null
  try {
    return { url: hub.url, reachable: true, ...((await call.hub.get('/v1/status')) as HubStatus) }
  } catch (error) {
    return {
      url: hub.url,
      reachable: false,
      error: codeOf(error) === 'nothing-running' ? 'does not answer' : describeError(error).split('\n')[0]!,
    }
  }
}

async function agentView(call: Call): Promise<{ status: AgentStatus; rates: Rates; ledger: NonNullable<StatusView['ledger']> } | null> {
  if (!call.home.context.agent) return null
  try {
    const first = (await call.agent.get('/v1/status')) as AgentStatus
    await new Promise((resolve) => setTimeout(resolve, RATE_MS))
    const [last, ledger] = (await Promise.all([call.agent.get('/v1/status'), call.agent.get('/v1/ledger')])) as [AgentStatus, AgentLedger]
    const rows = [...ledger.sources, ...ledger.streams]
    return {
      status: last,
      rates: ratesBetween(first, last),
      ledger: {
        ...ledger,
        balanced: rows.every(({ balanced }) => balanced),
        dead: ledger.sources.reduce((sum, { dead }) => sum + dead, 0),
      },
    }
  } catch (error) {
    if (codeOf(error) === 'nothing-running') return null
    throw error
  }
}

/** Counters only grow; the agent's own uptime is the clock. */
export function ratesBetween(first: AgentStatus, last: AgentStatus): Rates {
  const seconds = Math.max(0.001, (last.uptimeMs - first.uptimeMs) / 1000)
  const rate = (name: keyof Rates) => Math.max(0, Math.round(((last.counters[name] - first.counters[name]) / seconds) * 10) / 10)
  return { received: rate('received'), handled: rate('handled'), stored: rate('stored'), delivered: rate('delivered') }
}

/** `dunlin status` for people. */
import { slotName } from '../../config/routes.ts'
import type { Printer } from './printer.ts'
import { oneLine, table } from './table.ts'
import { workersText } from './workers-text.ts'
import { agoText, bytesText, countText, rateText, spanText } from './units.ts'
import type { StatusView } from './verbs/status.ts'

export function statusText(view: StatusView, printer: Printer): string {
  const good = (text: string) => printer.paint('green', text)
  const bad = (text: string) => printer.paint('red', text)
  const parts = [`Home     ${view.home}`, hubLine(view, good, bad), ...agentLines(view, good, bad)]
  if (view.agent) parts.push('', functionsTable(view, printer.width))
  if (view.ledger && view.ledger.streams.length > 0) parts.push('', streamsTable(view, printer.width))
  return parts.join('\n')
}

type Paint = (text: string) => string

function hubLine({ hub }: StatusView, good: Paint, bad: Paint): string {
  if (!hub) return 'Hub      none'
  if (!hub.reachable) return `Hub      ${hub.url}  ${bad(hub.error)}`
  const { devices, ingest } = hub
  return `Hub      ${hub.url}  ${good('up')} ${agoText(Date.parse(hub.started)).replace(' ago', '')}  devices ${devices.connected} of ${devices.accepted} online  ${countText(ingest.rows)} events stored since start`
}

function agentLines({ agent, rates, ledger }: StatusView, good: Paint, bad: Paint): string[] {
  if (!agent) return [`Agent    ${bad('does not answer')}`]
  const { device, uptimeMs, boot, memory, link, waiting, store } = agent
  const isOnline = link.state === 'online'
  return [
    `Device   ${device ?? 'not enrolled'}  ${good('up')} ${spanText(uptimeMs)} (start ${boot})  ${bytesText(memory.rss)} of memory`,
    `Link     ${isOnline ? good(link.state) : bad(link.state)}${link.hub ? `  ${link.hub}` : ''}`,
    ...(rates
      ? [
          `Events   in ${rateText(rates.received)}  handled ${rateText(rates.handled)}  stored ${rateText(rates.stored)}  delivered ${rateText(rates.delivered)}`,
        ]
      : []),
    `Waiting  ${countText(waiting.inbox)} for functions, ${countText(waiting.streams)} for the hub`,
    ...(agent.unserved ?? []).map(({ source, waiting: events }) =>
      bad(`Unserved ${countText(events)} in ${oneLine(source)}: no function, alias or trigger here takes them`),
    ),
    `Store    ${bytesText(store.bytesUsed)} of ${bytesText(store.bytesMax)}`,
    ...(ledger
      ? [
          `Ledger   ${ledger.balanced ? good('balanced') : bad('NOT balanced: see "dunlin status -o json"')}  ${ledger.dead === 0 ? 'no dead letters' : bad(ledger.dead === 1 ? '1 dead letter' : `${countText(ledger.dead)} dead letters`)}`,
        ]
      : []),
  ]
}

function functionsTable({ agent }: StatusView, width: number): string {
  const functions = agent!.functions
  if (functions.length === 0) return 'No functions run here'
  return table(
    ['FUNCTION', 'VERSION', 'RUNTIME', 'STATE', 'WORKERS', 'WAITING', 'PROBLEM'],
    functions
      .flatMap(({ aliases, ...production }) => [
        production,
        ...aliases.map((other) => ({ ...other, name: slotName(production.name, other.alias) })),
      ])
      .map(({ name, version, runtime, ready, workers, triggers, error }) => [
        name,
        version,
        runtime,
        workers.crashLoop ? 'crash loop' : ready ? 'ready' : 'starting',
        workersText(workers),
        triggers.reduce((sum, { waiting }) => sum + waiting, 0),
        error === undefined || ready ? null : oneLine(error),
      ]),
    width,
  )
}

function streamsTable({ ledger }: StatusView, width: number): string {
  return table(
    ['STREAM', 'APPENDED', 'DELIVERED', 'WAITING', 'LOST'],
    ledger!.streams.map(({ name, accepted, delivered, waiting, expired, evicted, salvaged }) => [
      name,
      accepted,
      delivered,
      waiting,
      expired + evicted + salvaged,
    ]),
    width,
  )
}

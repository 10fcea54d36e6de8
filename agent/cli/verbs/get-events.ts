import { sleep } from '../../../runtime/base/backoff.ts'
import type { HubEvent } from '../answers.ts'
import type { Call } from '../call.ts'
import { cut, oneLine } from '../table.ts'

const POLL_MS = 500
const FOLLOW_ROWS = 1000

export interface GetEventsOptions {
  readonly stream?: string
  readonly device?: string
  readonly limit: number
  readonly follow?: boolean
}

interface Page {
  readonly events: readonly HubEvent[]
  readonly next: string
}

/** The newest events at the hub, oldest of them first; with --follow also those that come. */
export async function getEvents({ hub, printer }: Call, { stream, device, limit, follow }: GetEventsOptions): Promise<void> {
  const query = new URLSearchParams({ follow: '1', ...(stream && { stream }), ...(device && { device }) })
  const ask = async (more: Record<string, string>) =>
    (await hub.get(`/v1/events?${new URLSearchParams([...query, ...Object.entries(more)])}`)) as Page
  const text = (event: HubEvent) => eventText(event, printer.width)
  const newest = await ask({ limit: String(limit) })
  if (!follow) {
    printer.result({ events: newest.events }, () =>
      newest.events.length === 0 ? 'No events have come yet' : newest.events.map(text).join('\n'),
    )
    return
  }
  for (let page = newest; ;) {
    for (const event of page.events) printer.item(event, () => text(event))
    if (page.events.length < FOLLOW_ROWS) await sleep(POLL_MS)
    page = await ask({ after: page.next, limit: String(FOLLOW_ROWS) })
  }
}

function eventText({ time, device, stream, seq, body, bodyBase64, replayed }: HubEvent, width: number): string {
  const content = body === undefined ? `base64 ${bodyBase64 ?? ''}` : oneLine(body)
  return cut(`${time?.slice(11, 23) ?? '-'.padEnd(12)}  ${device}  ${stream}  ${seq}${replayed ? ' (late)' : ''}  ${content}`, width)
}

import type { HubParts } from '../../hub-parts.ts'
import { iso } from '../device-json.ts'
import { cursorOf, limitOf } from '../page.ts'
import type { Route } from '../route.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** An authority that ends takes every device with it: say so early. */
const CA_WARNING_MS = 180 * DAY_MS

export function statusRoutes({ authority, devices, trust, ingest, gateway, audit }: HubParts): Route[] {
  const startedMs = Date.now()
  return [
    {
      method: 'GET',
      path: '/',
      auth: 'none',
      summary: 'Says what this is',
      handler: () => ({ dunlin: 'hub', api: 1 }),
    },
    {
      method: 'GET',
      path: '/v1/status',
      auth: 'operator',
      summary: 'Devices, trust, gateway and ingest in figures',
      handler: () => ({
        started: iso(startedMs),
        devices: devices.count(),
        trust: trust.status(),
        authority: {
          fingerprint: authority.fingerprint,
          expires: iso(authority.expiresMs),
          isEnding: authority.expiresMs - Date.now() < CA_WARNING_MS,
        },
        gateway: { ...gateway.address, ...gateway.stats() },
        ingest: ingest.stats(),
      }),
    },
    {
      method: 'GET',
      path: '/v1/audit',
      auth: 'operator',
      summary: 'Who changed what: ?after=&limit=',
      handler: ({ query }) => ({
        entries: audit
          .list(cursorOf(query), limitOf(query, { max: 1000, fallback: 100 }))
          .map(({ id, time_ms, actor, action, subject, detail }) => ({
            id,
            time: iso(time_ms),
            actor,
            action,
            subject,
            detail: detail && JSON.parse(detail),
          })),
      }),
    },
  ]
}

import type { HubParts } from '../../hub-parts.ts'
import { EventReader } from '../../ingest/event-reader.ts'
import { LogReader } from '../../ingest/log-reader.ts'
import { StreamReader } from '../../ingest/stream-reader.ts'
import { cursorOf, limitOf } from '../page.ts'
import type { Route } from '../route.ts'

export function eventRoutes({ database }: HubParts): Route[] {
  const events = new EventReader(database)
  const streams = new StreamReader(database)
  const logs = new LogReader(database)
  return [
    {
      method: 'GET',
      path: '/v1/streams',
      auth: 'operator',
      summary: 'What is stored of each stream, and which seqs are missing: ?device=&limit=',
      handler: ({ query }) => ({ streams: streams.list(query.get('device'), limitOf(query, { max: 1000, fallback: 1000 })) }),
    },
    {
      method: 'GET',
      path: '/v1/events',
      auth: 'operator',
      summary: 'Stored events: ?device=&stream=&after=&limit=&follow=1',
      handler: ({ query }) =>
        events.read({
          device: query.get('device'),
          stream: query.get('stream'),
          after: query.get('after'),
          limit: limitOf(query, { max: 1000, fallback: 100 }),
          follow: query.get('follow') === '1',
        }),
    },
    {
      method: 'GET',
      path: '/v1/logs',
      auth: 'operator',
      summary: 'Log lines of devices: ?device=&function=&after=&limit=; the newest without "after"',
      handler: ({ query }) => {
        const limit = limitOf(query, { max: 1000, fallback: 100 })
        return logs.read({
          device: query.get('device'),
          function: query.get('function'),
          after: query.has('after') ? cursorOf(query) : null,
          limit,
        })
      },
    },
  ]
}

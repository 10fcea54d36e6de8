/** Every route of the hub: the operator's, the device's, and two that need neither. docs/hub-api.md is written from this table. */
import type { HubParts } from '../hub-parts.ts'
import type { Route } from './route.ts'
import { deviceRoutes } from './routes/device-routes.ts'
import { eventRoutes } from './routes/event-routes.ts'
import { fleetRoutes } from './routes/fleet-routes.ts'
import { functionRoutes } from './routes/function-routes.ts'
import { statusRoutes } from './routes/status-routes.ts'

export function routesOf(parts: HubParts): Route[] {
  return [...statusRoutes(parts), ...fleetRoutes(parts), ...functionRoutes(parts), ...eventRoutes(parts), ...deviceRoutes(parts)]
}

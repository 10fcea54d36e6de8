import * as v from 'valibot'
import { InputError } from '../../../runtime/base/errors.ts'
import type { HubParts } from '../../hub-parts.ts'
import { ReleaseRequest } from '../../registry/releases.ts'
import { deviceJson, iso } from '../device-json.ts'
import { limitOf } from '../page.ts'
import { route, type Route } from '../route.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const TOKEN_LIFETIME_MS_MAX = 30 * DAY_MS

const ClaimTokenRequest = v.strictObject({
  uses: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000)), 1),
  expiresInMs: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(TOKEN_LIFETIME_MS_MAX)), DAY_MS),
  label: v.optional(v.pipe(v.string(), v.maxLength(200)), ''),
})

export function fleetRoutes({ devices, tokens, releases }: HubParts): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/devices',
      auth: 'operator',
      summary: 'Devices by id: ?after=<id>&limit=',
      handler: ({ query }) => {
        const { devices: found, next } = devices.page(query.get('after') ?? '', limitOf(query, { max: 1000, fallback: 1000 }))
        return { devices: found.map(deviceJson), next }
      },
    },
    {
      method: 'GET',
      path: '/v1/devices/:id',
      auth: 'operator',
      summary: 'One device with its desired and reported state',
      handler: ({ params }) => ({ ...deviceJson(devices.get(params['id']!)), desired: releases.desired(params['id']!) }),
    },
    {
      method: 'DELETE',
      path: '/v1/devices/:id',
      auth: 'operator',
      summary: 'Decommissions a device: its certificate is refused, its session is cut, its events stay',
      handler: ({ params }) => {
        devices.decommission(params['id']!)
        return { device: params['id'], state: 'decommissioned' }
      },
    },
    route({
      method: 'POST',
      path: '/v1/claim-tokens',
      auth: 'operator',
      summary: 'Makes a claim token; it is shown this once',
      body: ClaimTokenRequest,
      handler: ({ body }) => {
        const { id, token, expiresMs } = tokens.create(body)
        return { id, token, expires: iso(expiresMs) }
      },
    }),
    {
      method: 'GET',
      path: '/v1/claim-tokens',
      auth: 'operator',
      summary: 'Claim tokens without their secrets',
      handler: () => ({
        tokens: tokens.list().map(({ id, label, uses_left, expires_ms, created_ms }) => ({
          id,
          label,
          usesLeft: uses_left,
          expires: iso(expires_ms),
          created: iso(created_ms),
        })),
      }),
    },
    {
      method: 'DELETE',
      path: '/v1/claim-tokens/:id',
      auth: 'operator',
      summary: 'Revokes a claim token',
      handler: ({ params }) => {
        if (!/^\d{1,15}$/.test(params['id']!) || !tokens.revoke(Number(params['id'])))
          throw new InputError('claim-token-missing', 'Cannot find this claim token')
        return { id: Number(params['id']), usesLeft: 0 }
      },
    },
    route({
      method: 'POST',
      path: '/v1/releases',
      auth: 'operator',
      summary: 'Assigns function versions to devices',
      body: ReleaseRequest,
      handler: ({ body }) => releases.create(body),
    }),
  ]
}

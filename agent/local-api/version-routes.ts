/** Who gets which events of a function, on this device alone; and what waits where nobody takes it. */
import * as v from 'valibot'
import { Routes } from '../../config/routes.ts'
import { InputError } from '../../runtime/base/errors.ts'
import type { Processor } from '../../runtime/processor.ts'
import type { LocalResponse, LocalRoute } from './local-api.ts'

const RoutesBody = v.strictObject({ routes: Routes })
const source = v.pipe(v.string(), v.regex(/^[^/]+\/.+$/, 'a source such as "function/trigger"'), v.maxLength(512))
const MoveBody = v.strictObject({ from: source, to: source })

export function versionRoutes(processor: Processor): LocalRoute[] {
  const path = '/v1/functions/:name/routes'
  return [
    { method: 'GET', path, handle: async ({ params }) => routesOf(processor, params['name']!) },
    {
      method: 'PUT',
      path,
      handle: async ({ params, body }) => {
        await processor.setDeviceRoutes(params['name']!, read(RoutesBody, body).routes)
        return routesOf(processor, params['name']!)
      },
    },
    {
      method: 'DELETE',
      path,
      handle: async ({ params }) => {
        await processor.setDeviceRoutes(params['name']!, undefined)
        return routesOf(processor, params['name']!)
      },
    },
    {
      method: 'POST',
      path: '/v1/sources/move',
      handle: async ({ body }) => {
        const { from, to } = read(MoveBody, body)
        return { body: { from, to, moved: await processor.moveWaiting(from, to) } }
      },
    },
  ]
}

/** `passedOver`: those whose alias or version does not run here. `problem`: why paths of routes are not served. */
function routesOf(processor: Processor, name: string): LocalResponse {
  const status = processor.status().find((fn) => fn.name === name)
  if (!status) throw new InputError('not-found', `There is no function "${name}" here`)
  const { origin, list, problem } = status.routes
  const aliases = new Set(['production', ...status.aliases.map(({ alias }) => alias)])
  const versions = new Set([status.version, ...status.aliases.map(({ version }) => version)])
  const passedOver = list.filter(({ alias, version }) => (alias === undefined ? !versions.has(String(version)) : !aliases.has(alias)))
  return { body: { function: name, origin, routes: list, passedOver, problem: problem ?? null } }
}

/** Throws InputError 'body-invalid' with every problem. */
function read<S extends v.GenericSchema>(schema: S, body: Buffer): v.InferOutput<S> {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (cause) {
    throw new InputError('body-invalid', 'Cannot read the body: it is no JSON', { cause })
  }
  const parsed = v.safeParse(schema, value)
  if (parsed.success) return parsed.output
  const problems = parsed.issues.map((issue) => `${v.getDotPath(issue) ?? 'body'}: ${issue.message}`)
  throw new InputError('body-invalid', `Cannot take the body: ${problems.slice(0, 10).join('; ')}`)
}

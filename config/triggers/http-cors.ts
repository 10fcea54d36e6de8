/** attributes.cors of an http trigger, with Nuclio's names and defaults. */
import * as v from 'valibot'
import { integer, text } from '../fields.ts'
import type { TriggerCompile } from './common.ts'

export interface CorsConfig {
  /** `*` alone stands for all. */
  readonly allowOrigins: readonly string[]
  readonly allowMethods: readonly string[]
  readonly allowHeaders: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly allowCredentials: boolean
  readonly allowPrivateNetwork: boolean
  readonly preflightMaxAgeSeconds: number
}

const names = v.optional(v.pipe(v.array(text(256)), v.maxLength(100, 'at most 100 names')))

export const cors = v.strictObject({
  enabled: v.optional(v.boolean(), false),
  allowOrigins: names,
  allowOrigin: v.optional(text(256)),
  allowMethods: names,
  allowHeaders: names,
  /** Default: none; what a page may read beside the few that the Fetch standard lets it. */
  exposeHeaders: names,
  allowCredentials: v.optional(v.boolean(), false),
  /** A page from the internet that asks for a device in a private network: browsers want this said. */
  allowPrivateNetwork: v.optional(v.boolean(), false),
  /** 5 s: browsers' own default. */
  preflightMaxAgeSeconds: v.optional(integer({ min: 0, max: 86_400 }), 5),
})

/** null when it is not enabled. */
export function compileCors(given: v.InferOutput<typeof cors>, { checker, path }: TriggerCompile): CorsConfig | null {
  if (!given.enabled) return null
  const compiled: CorsConfig = {
    allowOrigins: given.allowOrigins ?? [given.allowOrigin ?? '*'],
    allowMethods: given.allowMethods ?? ['HEAD', 'GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'],
    allowHeaders: given.allowHeaders ?? ['Accept', 'Content-Length', 'Content-Type', 'X-nuclio-log-level'],
    exposeHeaders: given.exposeHeaders ?? [],
    allowCredentials: given.allowCredentials,
    allowPrivateNetwork: given.allowPrivateNetwork,
    preflightMaxAgeSeconds: given.preflightMaxAgeSeconds,
  }
  if (compiled.allowCredentials && compiled.allowOrigins.includes('*')) {
    checker.add([...path, 'attributes', 'cors'], 'expected named origins, because credentials are allowed, got all', 'write allowOrigins')
  }
  return compiled
}

/** kind: kickstart. One event when the function starts. Nuclio's kind, with `per` beside it. */
import * as v from 'valibot'
import { common, triggerKind, type TriggerBase } from './common.ts'
import { givenEvent } from './given-event.ts'

export interface KickstartTriggerConfig extends TriggerBase {
  readonly kind: 'kickstart'
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
  /** start: at each start of the function; version: once for each version of it on this device. */
  readonly per: 'start' | 'version'
}

const schema = v.strictObject({
  ...common,
  kind: v.literal('kickstart'),
  attributes: v.optional(
    v.strictObject({
      event: givenEvent,
      /** start, as Nuclio. A version's work that must be done once (a migration, say) wants `version`. */
      per: v.optional(v.picklist(['start', 'version']), 'start'),
    }),
    {},
  ),
})

export const kickstart = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'source' },
  attributesWithoutEffect: {},
  compile({ attributes: { event, per } }, base): KickstartTriggerConfig {
    return { ...base, kind: 'kickstart', ...event, per }
  },
})

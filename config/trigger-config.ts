/** The triggers of function.yaml, checked by their kind and compiled. */
import type * as v from 'valibot'
import { type Checker, shown } from './check.ts'
import type { RuntimeKind } from './function-types.ts'
import { guess } from './guess.ts'
import type { Notices } from './notices.ts'
import { OTHER_TRIGGER_KINDS, TRIGGER_WITHOUT_EFFECT } from './nuclio-fields.ts'
import { defaultConcurrency } from './runtimes.ts'
import type { common, TriggerBase, TriggerKindOf } from './triggers/common.ts'
import { compileWorkers, shareWorkers } from './worker-pools.ts'
import { TRIGGER_KINDS, triggerKinds, type TriggerConfig, type TriggerKind } from './triggers/registry.ts'

/** More is a mistake: each has workers of its own. */
const TRIGGERS_MAX = 32

/** What a runtime's handlers cannot do, and why: refused, because a handler would not get what it was written for. */
const WITHOUT_EXPLICIT_ACK: Partial<Record<RuntimeKind, string>> = { shell: 'a shell function acknowledges by its exit code' }

interface Context {
  readonly runtime: RuntimeKind
  readonly functionName: string
}

/** Whatever the kind: what all share, and attributes that only the kind knows. */
type Common = v.InferOutput<v.StrictObjectSchema<typeof common, undefined>> & { readonly attributes: Readonly<Record<string, unknown>> }
type AnyKind = TriggerKindOf<v.GenericSchema<unknown, Common>, TriggerConfig>

/** Disabled triggers are left out with a notice. null after a problem. */
export function compileTriggers(checker: Checker, notices: Notices, context: Context): TriggerConfig[] | null {
  const given = checker.valueAt(['spec', 'triggers']) ?? {}
  // A list in the map's place is among the document's problems.
  if (typeof given !== 'object' || Array.isArray(given)) return null
  const before = checker.problems.count
  const names = Object.keys(given)
  if (names.length > TRIGGERS_MAX) checker.add(['spec', 'triggers'], `expected at most ${TRIGGERS_MAX} triggers, got ${names.length}`)
  const triggers: TriggerConfig[] = []
  for (const name of names) {
    const path = ['spec', 'triggers', name]
    if (checker.valueAt([...path, 'disabled']) === true) {
      notices.add(path, 'is disabled and left out')
      continue
    }
    const kind = triggerKind(checker, name)
    const trigger = kind && compileTrigger(checker, notices, name, kind, context)
    if (trigger) triggers.push(trigger)
  }
  const shared = shareWorkers(checker, notices, triggers)
  return checker.problems.count === before ? shared : null
}

function triggerKind(checker: Checker, name: string): TriggerKind | null {
  const path = ['spec', 'triggers', name]
  const value = checker.valueAt(path)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    checker.add(path, `expected a map, got ${value === undefined ? 'nothing' : shown(value)}`)
    return null
  }
  const kind = checker.valueAt([...path, 'kind'])
  const found = TRIGGER_KINDS.find((known) => known === kind)
  if (found) return found
  const isNuclios = OTHER_TRIGGER_KINDS.includes(String(kind))
  const meant = typeof kind === 'string' && !isNuclios ? guess(kind, TRIGGER_KINDS) : null
  const hint = isNuclios ? `trigger kind ${kind} is not on this version` : meant ? `did you mean "${meant}"?` : null
  checker.add([...path, 'kind'], `expected one of ${TRIGGER_KINDS.join(', ')}, got ${kind === undefined ? 'nothing' : shown(kind)}`, hint)
  return null
}

function compileTrigger(checker: Checker, notices: Notices, name: string, kind: TriggerKind, context: Context): TriggerConfig | null {
  const path = ['spec', 'triggers', name]
  const spec = triggerKinds[kind] as unknown as AnyKind
  const given = checker.check(spec.schema, path)
  if (!given) return null
  notices.withoutEffect(path, given, TRIGGER_WITHOUT_EFFECT)
  notices.withoutEffect([...path, 'attributes'], given.attributes, spec.attributesWithoutEffect)
  const explicitAckMode = given.explicitAckMode || 'disable'
  const noAckReason = WITHOUT_EXPLICIT_ACK[context.runtime]
  if (explicitAckMode !== 'disable' && noAckReason) {
    checker.add([...path, 'explicitAckMode'], `expected disable, got ${explicitAckMode}`, noAckReason)
  }
  const base = {
    name,
    ...compileWorkers(checker, path, given, defaultConcurrency(context.runtime, checker.valueAt(['spec', 'runtimeAttributes']))),
    delivery: given.delivery ?? spec.defaults.delivery,
    orderKey: given.orderKey ?? spec.defaults.orderKey,
    workerAvailabilityTimeoutMs: given.workerAvailabilityTimeoutMilliseconds,
    batch: given.batch?.mode === 'enable' ? { size: given.batch.batchSize, timeoutMs: given.batch.timeout } : null,
    explicitAckMode,
    explicitAckTimeoutMs: given.explicitAckTimeout,
    annotations: given.annotations,
  } satisfies TriggerBase
  return spec.compile(given, base, { checker, notices, path, functionName: context.functionName })
}

import { PRODUCTION } from '../../config/routes.ts'
import type { Answer } from '../dispatch/delivery.ts'
import { failedAnswer } from '../dispatch/delivery.ts'
import type { FunctionVersion } from '../workers/worker.ts'

/** What a direct call asks for. */
export interface DirectCall {
  readonly functionName: string
  /** Name or kind of the trigger that it shall seem to come from; left out: http, else the first. */
  readonly trigger: string | undefined
  /** `test`, `3` or `v3`; left out: where the routes say. */
  readonly alias: string | undefined
}

/** `alias` undefined: where the routes say. */
export type Addressed = { readonly trigger: string; readonly alias: string | undefined } | { readonly refusal: Answer }

/** Whom a direct call is for, among the versions that run; or the answer that says why it is for nobody. */
export function addressOf(running: ReadonlyMap<string, FunctionVersion>, { functionName, trigger, alias }: DirectCall): Addressed {
  const named = alias === undefined ? PRODUCTION : aliasNamed(running, alias)
  const version = named === undefined ? undefined : running.get(named)
  if (!version && alias !== undefined) {
    const known = [...running].map(([name, other]) => `${name} (version ${other.version})`).join(', ')
    return refused(404, `Function ${functionName} has no alias or running version "${alias}"; it has: ${known || 'none'}`)
  }
  const configs = version?.config.triggers ?? []
  if (configs.length === 0) return refused(503, `Function ${functionName} is not running`)
  const config =
    trigger === undefined
      ? (configs.find(({ kind }) => kind === 'http') ?? configs[0])
      : (configs.find(({ name }) => name === trigger) ?? configs.find(({ kind }) => kind === trigger))
  if (config) return { trigger: config.name, alias: alias === undefined ? undefined : named }
  const known = configs.map(({ name, kind }) => `${name} (${kind})`).join(', ')
  return refused(404, `Function ${functionName} has no trigger "${trigger}"; it has: ${known}`)
}

function aliasNamed(running: ReadonlyMap<string, FunctionVersion>, given: string): string | undefined {
  if (running.has(given)) return given
  const version = /^v?(\d{1,15})$/.exec(given)?.[1]
  return [...running].find(([, other]) => other.version === version)?.[0]
}

function refused(status: number, error: string): Addressed {
  return { refusal: failedAnswer(status, error) }
}

/**
 * Which hub and agent a command talks to. A home is a folder with context.json in it; `dunlin up` writes it, and a person may
 * write one for a hub elsewhere. Sought in this order: --home, $DUNLIN_HOME, ./.dunlin (also in the folders above), ~/.dunlin.
 */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { codeOf, InputError, ResourceError } from '../../runtime/base/errors.ts'

export const CONTEXT_FILE = 'context.json'
const HOME_NAME = '.dunlin'

/** Paths are absolute, or relative to the home. */
export interface Context {
  readonly hub?: { readonly url: string; readonly caFile: string; readonly adminTokenFile: string }
  readonly agent?: { readonly socket: string }
  /** Folder of the publisher's keys. */
  readonly publisher?: string
}

export interface Home {
  readonly path: string
  readonly context: Context
}

/** Of the process: its working directory, environment and user; a test gives its own. */
export interface Surroundings {
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
}

/** The home that would be used, whether there is one or not. */
export function homePath(given: string | undefined, { cwd, env }: Surroundings): string {
  if (given !== undefined) return resolve(cwd, given)
  if (env['DUNLIN_HOME']) return resolve(cwd, env['DUNLIN_HOME'])
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, HOME_NAME, CONTEXT_FILE))) return join(folder, HOME_NAME)
    if (folder === dirname(folder)) break
  }
  const ofUser = join(env['HOME'] || homedir(), HOME_NAME)
  return existsSync(join(ofUser, CONTEXT_FILE)) ? ofUser : join(resolve(cwd), HOME_NAME)
}

/** Throws ResourceError 'nothing-running' when nobody has started anything there. */
export function openHome(given: string | undefined, surroundings: Surroundings): Home {
  const path = homePath(given, surroundings)
  const file = join(path, CONTEXT_FILE)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw nothingRunning(path)
    throw error
  }
  return { path, context: checkContext(text, file, path) }
}

export function nothingRunning(home: string, cause?: unknown): ResourceError {
  return new ResourceError('nothing-running', `Nothing is running for ${home}`, {
    hint: 'start it with "dunlin up", or name another home with --home or DUNLIN_HOME',
    ...(cause === undefined ? {} : { cause }),
  })
}

function checkContext(text: string, file: string, home: string): Context {
  const wrong = (what: string) => new InputError('config-invalid', `Cannot read ${file}: ${what}`, { hint: 'dunlin up writes it anew' })
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    throw wrong('it is no JSON')
  }
  const part = (value: unknown, name: string): Record<string, unknown> | undefined => {
    if (value === undefined) return undefined
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(`${name} is no object`)
    return value as Record<string, unknown>
  }
  const nonEmpty = (value: unknown, name: string): string => {
    if (typeof value !== 'string' || value === '') throw wrong(`${name} is missing`)
    return value
  }
  const root = part(given, 'the document') ?? {}
  const hub = part(root['hub'], 'hub')
  const agent = part(root['agent'], 'agent')
  return {
    ...(hub && {
      hub: {
        url: nonEmpty(hub['url'], 'hub.url'),
        caFile: resolve(home, nonEmpty(hub['caFile'], 'hub.caFile')),
        adminTokenFile: resolve(home, nonEmpty(hub['adminTokenFile'], 'hub.adminTokenFile')),
      },
    }),
    ...(agent && { agent: { socket: resolve(home, nonEmpty(agent['socket'], 'agent.socket')) } }),
    ...(root['publisher'] !== undefined && { publisher: resolve(home, nonEmpty(root['publisher'], 'publisher')) }),
  }
}

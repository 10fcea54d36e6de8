import { existsSync, readFileSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InputError } from '../../base/errors.ts'
import type { Context } from './guest-context.ts'
import type { Event } from './guest-event.ts'

export type Handler = (context: Context, event: Event | readonly Event[]) => unknown

export interface LoadedHandler {
  readonly handler: Handler
  readonly initContext: ((context: Context) => unknown) | undefined
  /** The handler answers through context.callback: returning nothing is no answer. */
  readonly usesCallback: boolean
}

const EXTENSIONS = ['', '.ts', '.mts', '.js', '.mjs', '.cjs']

/** Anywhere in the file, so that a handler may leave the answer to a function beside it. */
const CALLBACK = /\bcontext\s*\.\s*callback\b|\{[^{}]*\bcallback\b[^{}]*\}\s*=\s*context\b/

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '')
}

/** `file:function`; the file may leave out its extension. ES modules, CommonJS and TypeScript. */
export async function loadHandler(directory: string, handler: string): Promise<LoadedHandler> {
  const [file = '', name = 'handler'] = handler.split(':')
  const path = EXTENSIONS.map((extension) => resolve(directory, file + extension)).find(
    (candidate) => existsSync(candidate) && candidate !== resolve(directory),
  )
  if (!path || !path.startsWith(resolve(directory) + sep)) {
    throw new InputError(
      'handler-not-found',
      `Cannot find the handler's file "${file}" (tried ${EXTENSIONS.slice(1).join(', ')}) in the bundle`,
    )
  }
  const module = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  const exported = (module['default'] ?? {}) as Record<string, unknown>
  const found = module[name] ?? exported[name]
  if (typeof found !== 'function') {
    throw new InputError(
      'handler-not-exported',
      `Cannot find function "${name}" in "${file}": it exports ${Object.keys(module).join(', ') || 'nothing'}`,
    )
  }
  const initContext = ['init_context', 'initContext']
    .map((key) => module[key] ?? exported[key])
    .find((value) => typeof value === 'function')
  return {
    handler: found as Handler,
    initContext: initContext as ((context: Context) => unknown) | undefined,
    usesCallback: /\.callback\s*\(/.test(String(found)) || CALLBACK.test(withoutComments(readFileSync(path, 'utf8'))),
  }
}

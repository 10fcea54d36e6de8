/** kind: file. Files that are made, changed or removed in folders of the device. */
import path from 'node:path'
import * as v from 'valibot'
import { duration, size, text } from '../fields.ts'
import { common, triggerKind, type TriggerBase } from './common.ts'

const MiB = 1024 * 1024
const HOUR_MS = 3_600_000
const PATHS_MAX = 16
const GLOBS_MAX = 16

export type FileEvent = 'create' | 'change' | 'delete'
export type FileBody = 'content' | 'none' | 'path'
export type FileAfter = 'keep' | 'move' | 'delete'

export interface FileTriggerConfig extends TriggerBase {
  readonly kind: 'file'
  /** Folders, absolute. */
  readonly paths: readonly string[]
  /** Matched against the path below the folder. */
  readonly globs: readonly string[]
  readonly events: readonly FileEvent[]
  readonly body: FileBody
  /** A larger file gives an event without its content. */
  readonly maxBodyBytes: number
  /** A file is whole when its size and time have not changed for this long. */
  readonly stableMs: number
  /** Files that are there at the start and were not given before. */
  readonly initial: boolean
  readonly after: FileAfter
  /** Where `after: move` puts files; null for the others. */
  readonly moveTo: string | null
  /** How often to look, on file systems that do not tell of changes; null: they tell. */
  readonly pollMs: number | null
}

const folder = v.pipe(
  text(),
  v.check((given) => path.isAbsolute(given), 'a folder as an absolute path, such as "/data/in"'),
  v.transform((given) => path.resolve(given)),
)
const glob = v.pipe(
  text(1024),
  v.check(
    (given) => !given.startsWith('/') && !given.split('/').includes('..'),
    'a pattern below the folder, such as "*.csv" or "**/*.csv"',
  ),
)
const events = ['create', 'change', 'delete'] as const

const schema = v.strictObject({
  ...common,
  kind: v.literal('file'),
  attributes: v.strictObject({
    paths: v.pipe(v.array(folder), v.minLength(1, 'at least one folder'), v.maxLength(PATHS_MAX, `at most ${PATHS_MAX} folders`)),
    /** `*`: the folder's own files. Files whose name begins with a dot are left out, unless the pattern names the dot. */
    glob: v.optional(
      v.union([
        glob,
        v.pipe(v.array(glob), v.minLength(1, 'at least one pattern'), v.maxLength(GLOBS_MAX, `at most ${GLOBS_MAX} patterns`)),
      ]),
      '*',
    ),
    events: v.optional(v.pipe(v.array(v.picklist(events)), v.minLength(1, 'at least one of create, change, delete')), ['create', 'change']),
    body: v.optional(v.picklist(['content', 'none', 'path']), 'content'),
    /** 4 MiB, as for HTTP: a body is held in memory whole. */
    maxBodySize: v.optional(size({ min: 1, max: 32 * MiB }), '4MiB'),
    /** 1 s: longer than writers pause, shorter than people wait. 0s: at first sight, for writers that rename into place. */
    stable: v.optional(duration({ min: 0, max: HOUR_MS }), '1s'),
    initial: v.optional(v.boolean(), true),
    after: v.optional(v.picklist(['keep', 'move', 'delete']), 'keep'),
    moveTo: v.optional(folder),
    poll: v.optional(duration({ min: 100, max: HOUR_MS })),
  }),
})

export const file = triggerKind({
  schema,
  defaults: { delivery: 'durable', orderKey: 'source' },
  attributesWithoutEffect: {},
  compile({ attributes }, base, { checker, path: at }): FileTriggerConfig | null {
    const { after, moveTo, glob, paths, maxBodySize, stable, poll, events, body, initial } = attributes
    const wrong = (field: string, message: string, hint: string): null => {
      checker.add([...at, 'attributes', field], message, hint)
      return null
    }
    if (after === 'move' && moveTo === undefined)
      return wrong('after', 'expected moveTo beside it, got nothing', 'write moveTo: /data/done')
    if (after !== 'move' && moveTo !== undefined)
      return wrong('moveTo', `expected after: move beside it, got ${after}`, 'write after: move')
    if (moveTo !== undefined && paths.includes(moveTo))
      return wrong('moveTo', 'expected another folder than paths, got the same', 'files would come again')
    if (after !== 'keep') {
      if (base.delivery === 'direct')
        return wrong('after', `expected keep with delivery: direct, got ${after}`, 'only a stored event is safe without its file')
      if (body !== 'content')
        return wrong('after', `expected body: content, got ${body}`, 'the handler would look for a file that has gone')
      const missing = (['create', 'change'] as const).find((event) => !events.includes(event))
      if (missing)
        return wrong('events', `expected ${missing} among them, because of after: ${after}`, 'a file that gives no event would stay')
    }
    return {
      ...base,
      kind: 'file',
      paths: [...new Set(paths)],
      globs: typeof glob === 'string' ? [glob] : glob,
      events,
      body,
      maxBodyBytes: maxBodySize,
      stableMs: stable,
      initial,
      after,
      moveTo: moveTo ?? null,
      pollMs: poll ?? null,
    }
  },
})

import type { Stats } from 'node:fs'
import path from 'node:path'
import { crashPoint } from '../../runtime/base/crash-point.ts'
import { codeOf } from '../../runtime/base/errors.ts'
import { Tag } from '../../runtime/event/record.ts'
import type { TriggerContext } from '../../runtime/functions/trigger.ts'
import type { FileEvent } from '../../config/triggers/file.ts'
import { look, signatureOf } from './file-facts.ts'
import type { HandledFiles } from './file-handled.ts'
import { FileQueue, type Wanted } from './file-queue.ts'
import { moveGiven, removeGiven, syncFolders } from './file-put-away.ts'
import { readWhole } from './file-read.ts'
import { FileWatch } from './file-watch.ts'
import type { TriggerOf } from './registry.ts'

/** Files to be looked at that are held in memory; beyond, the folder is read again when they are done. */
const WANTED_MAX = 10_000
/** Events that wait for their commit. */
const UNCOMMITTED_MAX = 16
const UNCOMMITTED_BYTES_MAX = 32 * 1024 * 1024
/** What went wrong with a file (no permission, full store) is tried again after this time. */
export const RETRY_MS = 2_000
/** Files put away whose folders are not synced and whose notes are not removed yet. */
const UNSYNCED_MAX = 64

/**
 * From one start of a file trigger to its stop. A file that the watch tells of is looked at until it stands still, read whole,
 * and given; when its event is committed it is noted, and then kept, moved or removed. One file after the other, in the order
 * they were seen; at most UNCOMMITTED_MAX wait for the store, and the rest waits in the folder.
 */
export class FileRun {
  readonly #config: TriggerOf<'file'>
  readonly #context: TriggerContext
  readonly #handled: HandledFiles
  readonly #watch: FileWatch
  readonly #wanted: FileQueue
  readonly #uncommitted = new Map<string, number>()
  /** Told already what is wrong with them. */
  readonly #told = new Set<string>()
  #putAway: string[] = []
  #putAwayFolders = new Set<string>()
  #uncommittedBytes = 0
  /** Remembered files that the watch has told of, until it has told of all. */
  #present = new Set<string>()
  #isInitial = true
  #isOverfull = false
  #isStopped = false
  #wake: () => void = () => {}
  readonly #listed = Promise.withResolvers<void>()
  #drained: () => void = () => {}
  #loop: Promise<void> | undefined

  constructor(config: TriggerOf<'file'>, context: TriggerContext, handled: HandledFiles) {
    this.#config = config
    this.#context = context
    this.#handled = handled
    this.#wanted = new FileQueue(config.stableMs)
    this.#watch = new FileWatch({
      roots: config.paths,
      globs: config.globs,
      except: config.moveTo,
      pollMs: config.pollMs,
      logger: context.logger,
      onFile: (file, stats) => this.#seen(file, stats),
      onReady: () => this.#ready(),
    })
  }

  async start(): Promise<void> {
    await this.#handled.open()
    await this.#watch.open()
    this.#loop = this.#work()
    // A file that comes from now on is new.
    if (!this.#config.initial) await this.#listed.promise
  }

  /** Gives nothing more; resolves when what was given is committed and noted. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#wake()
    this.#listed.resolve()
    await this.#watch.close()
    await this.#loop
    if (this.#uncommitted.size > 0) await new Promise<void>((resolve) => (this.#drained = resolve))
    await this.#forgetPutAway()
  }

  #seen(file: string, stats?: Stats): void {
    const given = this.#handled.get(file)
    if (given !== undefined) {
      this.#present.add(file)
      if (stats && this.#config.after === 'keep' && given === signatureOf(stats)) return
    }
    if (this.#wanted.has(file)) return
    if (this.#wanted.size >= WANTED_MAX) {
      this.#isOverfull = true
      return
    }
    const isKnownOnly = this.#isInitial && !this.#config.initial && given === undefined
    this.#want(file, isKnownOnly ? 0 : this.#config.stableMs, '', isKnownOnly)
  }

  /** All that was there has been told of; what is remembered and was not told of has gone. */
  #ready(): void {
    const present = this.#present
    this.#present = new Set()
    for (const file of this.#handled.files()) if (!present.has(file)) this.#seen(file)
    this.#present.clear()
    if (this.#isOverfull) return
    this.#isInitial = false
    this.#listed.resolve()
  }

  #want(file: string, inMs: number, signature = '', isKnownOnly = false): void {
    this.#wanted.want(file, inMs, signature, isKnownOnly)
    this.#wake()
  }

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      if (this.#isFull()) await this.#sleep(Infinity)
      else {
        const next = this.#wanted.take()
        if (typeof next === 'number') await this.#sleep(next)
        else await this.#lookAt(...next).catch((error: unknown) => this.#wrong(next[0], error))
      }
      if (this.#wanted.size === 0 || this.#putAway.length >= UNSYNCED_MAX) await this.#forgetPutAway()
      if (this.#isOverfull && this.#wanted.size === 0 && !this.#isStopped) {
        this.#isOverfull = false
        await this.#watch.again()
      }
    }
  }

  #isFull(): boolean {
    return this.#uncommitted.size >= UNCOMMITTED_MAX || this.#uncommittedBytes >= UNCOMMITTED_BYTES_MAX
  }

  async #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = ms === Infinity ? undefined : setTimeout(resolve, ms)
    if (!this.#isStopped) await promise
    clearTimeout(timer)
    this.#wake = () => {}
  }

  async #lookAt(file: string, { signature, isKnownOnly }: Wanted): Promise<void> {
    const { stableMs, after } = this.#config
    if (this.#uncommitted.has(file)) return this.#want(file, Math.max(stableMs, 100))
    const stats = await look(file)
    const given = this.#handled.get(file)
    if (!stats) {
      if (given !== undefined) await this.#gone(file)
      return
    }
    if (!stats.isFile()) return
    const now = signatureOf(stats)
    if (given === now) return after === 'keep' ? undefined : this.#put(file, now)
    if (isKnownOnly) return this.#handled.addInMemory(file, now)
    if (stableMs > 0 && signature !== now) return this.#want(file, stableMs, now)
    await this.#give(file, stats, given === undefined ? 'create' : 'change')
  }

  async #give(file: string, stats: Stats, event: FileEvent): Promise<void> {
    const { events, body: kind, maxBodyBytes, stableMs } = this.#config
    if (!events.includes(event)) return this.#handled.add(file, signatureOf(stats))
    const isTooLarge = kind === 'content' && stats.size > maxBodyBytes
    let body: Buffer = kind === 'path' ? Buffer.from(file) : Buffer.alloc(0)
    if (kind === 'content' && !isTooLarge) {
      const read = await readWhole(file, stats, this.#watch.rootOf(file)!)
      if (read === 'outside') return
      if (read === 'changed') return this.#want(file, Math.max(stableMs, 10))
      body = read.body
    }
    this.#send(file, event, stats, isTooLarge ? 'too-large' : kind, body, () => this.#committed(file, signatureOf(stats)))
  }

  async #gone(file: string): Promise<void> {
    // A folder that was unplugged has not lost its files.
    if (!(await look(this.#watch.rootOf(file) ?? '/'))) return
    if (this.#putAway.includes(file)) return
    const isWanted = this.#config.events.includes('delete') && this.#watch.matches(file)
    if (!isWanted) return this.#handled.remove([file])
    this.#send(file, 'delete', null, 'none', Buffer.alloc(0), () => this.#handled.remove([file]))
  }

  #send(file: string, event: FileEvent, stats: Stats | null, bodyKind: string, body: Buffer, committed: () => Promise<void>): void {
    const { sink, logger } = this.#context
    const { head } = sink.events
    head.add(Tag.topic, path.relative(this.#watch.rootOf(file)!, file))
    head.add(Tag.path, file)
    const headers = { event, path: file, name: path.basename(file), body: bodyKind }
    for (const [key, value] of Object.entries(headers)) head.add(Tag.header, value, key)
    if (stats) head.add(Tag.header, String(stats.size), 'size').add(Tag.header, stats.mtime.toISOString(), 'mtime')
    if (bodyKind === 'too-large') logger.info({ file, size: stats?.size }, 'a file is larger than maxBodySize: its event has no body')
    const record = sink.events.finish(body)
    const ended = (error: Error | null): void => {
      const free = (): void => {
        this.#uncommitted.delete(file)
        this.#uncommittedBytes -= body.length
        this.#wake()
        if (this.#uncommitted.size === 0) this.#drained()
      }
      if (!error) this.#told.delete(file)
      else this.#wrong(file, error)
      if (error) return free()
      committed()
        .catch((problem: unknown) => this.#wrong(file, problem))
        .finally(free)
    }
    this.#uncommitted.set(file, body.length)
    this.#uncommittedBytes += body.length
    if (this.#config.delivery === 'durable') return sink.accept(record, ended)
    sink.invoke(record, null)
    ended(null)
  }

  async #committed(file: string, signature: string): Promise<void> {
    crashPoint('file:after-commit')
    await this.#handled.add(file, signature)
    crashPoint('file:after-note')
    if (this.#config.after !== 'keep') await this.#put(file, signature)
    crashPoint('file:after-move')
  }

  /** Removes or moves a file whose event is committed. It is remembered until its folder is synced. */
  async #put(file: string, signature: string): Promise<void> {
    const { moveTo } = this.#config
    const isDone = moveTo === null ? await removeGiven(file, signature) : await moveGiven(file, signature, moveTo)
    if (!isDone) return
    this.#putAway.push(file)
    this.#putAwayFolders.add(path.dirname(file))
    if (moveTo !== null) this.#putAwayFolders.add(moveTo)
  }

  async #forgetPutAway(): Promise<void> {
    if (this.#putAway.length === 0) return
    const [files, folders] = [this.#putAway, this.#putAwayFolders]
    this.#putAway = []
    this.#putAwayFolders = new Set()
    try {
      await syncFolders(folders)
      await this.#handled.remove(files)
    } catch (error) {
      // They are remembered: at the next start they are seen to have gone.
      this.#context.logger.warn({ error: (error as Error).message }, 'cannot sync the folder of files that were put away')
    }
  }

  /** Says once what is wrong with a file, and looks at it again later. */
  #wrong(file: string, error: unknown): void {
    if (!this.#told.has(file) && this.#told.size < WANTED_MAX) {
      this.#told.add(file)
      const { message } = error as Error
      this.#context.logger.warn({ file, error: message, code: codeOf(error), retryInMs: RETRY_MS }, 'a file waits: it is tried again')
    }
    if (!this.#isStopped) this.#want(file, RETRY_MS)
  }
}

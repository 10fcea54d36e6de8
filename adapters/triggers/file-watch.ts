import { watch, type FSWatcher } from 'chokidar'
import type { Stats } from 'node:fs'
import path from 'node:path'
import type { Logger } from '../../runtime/base/log.ts'
import { codeOf, InputError } from '../../runtime/base/errors.ts'
import { look } from './file-facts.ts'

/** A folder that was removed and made again, or mounted over, is noticed within this time. */
const ROOTS_LOOK_MS = 2_000

export interface FileWatchOptions {
  readonly roots: readonly string[]
  readonly globs: readonly string[]
  /** Left out, with what is below it. */
  readonly except: string | null
  readonly pollMs: number | null
  readonly logger: Logger
  /** A file that is there, changed or has gone. Before `onReady`: those that were there. */
  readonly onFile: (file: string, stats: Stats | undefined) => void
  readonly onReady: () => void
}

/** Tells of files below some folders, as chokidar sees them: each is to be looked at, nothing more is known. Links are not followed. */
export class FileWatch {
  readonly #options: FileWatchOptions
  #watcher: FSWatcher | undefined
  #timer: NodeJS.Timeout | undefined
  #inodes = new Map<string, string>()
  #isClosed = false

  constructor(options: FileWatchOptions) {
    this.#options = options
  }

  /** Rejects with InputError for a folder that is none. */
  async open(): Promise<void> {
    await Promise.all(this.#options.roots.map(checkRoot))
    for (const root of this.#options.roots) {
      const id = await this.#inodeOf(root)
      this.#inodes.set(root, id)
      if (id === '') this.#options.logger.warn({ folder: root }, 'the folder is not there: waiting for it')
    }
    if (this.#isClosed) return
    this.#watch()
    this.#timer = setInterval(() => void this.#lookAtRoots(), ROOTS_LOOK_MS)
  }

  /** Tells of everything again, as at the start. */
  async again(): Promise<void> {
    await this.#watcher?.close()
    if (!this.#isClosed) this.#watch()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    clearInterval(this.#timer)
    await this.#watcher?.close()
  }

  rootOf(file: string): string | undefined {
    return this.#options.roots.find((root) => file.startsWith(root === '/' ? root : `${root}/`))
  }

  matches(file: string): boolean {
    const { globs, except } = this.#options
    const root = this.rootOf(file)
    if (root === undefined || (except !== null && (file === except || file.startsWith(`${except}/`)))) return false
    const below = path.relative(root, file)
    return globs.some((glob) => path.matchesGlob(below, glob))
  }

  #watch(): void {
    const { roots, globs, except, pollMs, logger, onFile, onReady } = this.#options
    const isDeep = globs.some((glob) => glob.includes('/') || glob.includes('**'))
    const watcher = watch([...roots], {
      followSymlinks: false,
      ignorePermissionErrors: true,
      ...(isDeep ? {} : { depth: 0 }),
      ...(pollMs === null ? {} : { backend: 'polling', pollingInterval: pollMs }),
      ignored: (file, stats) => file === except || (stats?.isFile() === true && !this.matches(file)),
    })
    watcher.on('all', (event, file, stats) => {
      if (watcher === this.#watcher && (event === 'add' || event === 'change' || event === 'unlink') && this.matches(file))
        onFile(file, stats)
    })
    watcher.on('ready', () => watcher === this.#watcher && onReady())
    watcher.on('error', (error) => {
      const hint = codeOf(error) === 'ENOSPC' ? 'raise fs.inotify.max_user_watches, or write poll: 5s' : undefined
      logger.error({ error: (error as Error).message, hint }, 'cannot watch the folder')
    })
    this.#watcher = watcher
  }

  async #lookAtRoots(): Promise<void> {
    let isOther = false
    for (const root of this.#options.roots) {
      const id = await this.#inodeOf(root)
      if (id === this.#inodes.get(root)) continue
      this.#inodes.set(root, id)
      this.#options.logger.info({ folder: root }, id === '' ? 'the folder has gone: waiting for it' : 'the folder is there')
      if (id !== '') isOther = true
    }
    if (isOther && !this.#isClosed) await this.again()
  }

  async #inodeOf(root: string): Promise<string> {
    const found = await look(root).catch(() => null)
    return found ? `${found.dev}:${found.ino}` : ''
  }
}

async function checkRoot(root: string): Promise<void> {
  const found = await look(root)
  if (!found || found.isDirectory()) return
  const what = found.isSymbolicLink() ? 'a link, and links are not followed' : 'no folder'
  throw new InputError('file-folder', `Cannot watch ${root}: it is ${what}`, { hint: 'write a folder in attributes.paths' })
}

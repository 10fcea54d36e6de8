import type { Logger } from '../../runtime/base/log.ts'
import type { Marks } from './marks.ts'

/** Files that one trigger remembers. In a folder of more, the oldest are given again after a restart. */
export const HANDLED_FILES_MAX = 100_000
/** One value of the store for each: what is written for a file is a part of the whole, not all of it. */
const BUCKETS = 256

/**
 * Which files were given, by path and signature: in memory, and in the store, so that a restart neither repeats nor loses one.
 * `add` is called when the event of a file is committed. An agent that is killed between the two gives that file once more.
 */
export class HandledFiles {
  readonly #marks: Marks
  readonly #name: string
  readonly #logger: Logger
  readonly #buckets: Map<string, string>[] = []
  readonly #running = new Map<number, Promise<void>>()
  readonly #next = new Map<number, Promise<void>>()
  #count = 0
  #isFullTold = false

  constructor(marks: Marks, name: string, logger: Logger) {
    this.#marks = marks
    this.#name = name
    this.#logger = logger
  }

  async open(): Promise<void> {
    const texts = await Promise.all(Array.from({ length: BUCKETS }, (_, bucket) => this.#marks.get(`${this.#name}/${bucket}`)))
    for (const text of texts) {
      const bucket = new Map(Object.entries(text === undefined ? {} : (JSON.parse(text) as Record<string, string>)))
      this.#buckets.push(bucket)
      this.#count += bucket.size
    }
  }

  get(file: string): string | undefined {
    return this.#buckets[bucketOf(file)]!.get(file)
  }

  *files(): Iterable<string> {
    for (const bucket of this.#buckets) yield* bucket.keys()
  }

  /** Known from now on, but not over a restart. */
  addInMemory(file: string, signature: string): void {
    const bucket = this.#buckets[bucketOf(file)]!
    if (!bucket.has(file)) this.#count++
    bucket.set(file, signature)
    if (this.#count > HANDLED_FILES_MAX) this.#dropOne(bucket)
  }

  /** Resolves when it is kept. */
  add(file: string, signature: string): Promise<void> {
    this.addInMemory(file, signature)
    return this.#write(bucketOf(file))
  }

  /** Resolves when they are kept no more. */
  async remove(files: readonly string[]): Promise<void> {
    const changed = new Set<number>()
    for (const file of files) {
      const bucket = bucketOf(file)
      if (!this.#buckets[bucket]!.delete(file)) continue
      this.#count--
      changed.add(bucket)
    }
    await Promise.all([...changed].map((bucket) => this.#write(bucket)))
  }

  #dropOne(bucket: Map<string, string>): void {
    const [oldest] = bucket.keys()
    bucket.delete(oldest!)
    this.#count--
    if (this.#isFullTold) return
    this.#isFullTold = true
    this.#logger.warn(
      { files: HANDLED_FILES_MAX },
      'there are more files than are remembered: some are given again after a restart; use after: move',
    )
  }

  /** One write of a bucket is on its way at a time; what changes meanwhile goes with the next. */
  #write(bucket: number): Promise<void> {
    const waiting = this.#next.get(bucket)
    if (waiting) return waiting
    const running = this.#running.get(bucket)
    if (!running) return this.#put(bucket)
    const next = running
      .catch(() => {})
      .then(() => {
        this.#next.delete(bucket)
        return this.#put(bucket)
      })
    this.#next.set(bucket, next)
    return next
  }

  #put(bucket: number): Promise<void> {
    const written = this.#marks
      .set(`${this.#name}/${bucket}`, JSON.stringify(Object.fromEntries(this.#buckets[bucket]!)))
      .finally(() => this.#running.delete(bucket))
    this.#running.set(bucket, written)
    return written
  }
}

/** FNV-1a. */
function bucketOf(file: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < file.length; i++) hash = Math.imul(hash ^ file.charCodeAt(i), 0x01000193)
  return (hash >>> 0) % BUCKETS
}

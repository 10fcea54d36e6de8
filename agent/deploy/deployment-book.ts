/**
 * What must outlive the agent about deployments: the last desired state and each function's deployment, in one durable file.
 * Each change is on disk before anybody acts on it. Which version is committed is not here: `current` beside the files says it.
 */
import { readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import { DEPLOYMENT_STATES, Desired } from '../../config/wire.ts'
import { makeDirectoryDurably, writeFileDurably } from '../../runtime/base/durable-write.ts'
import { codeOf, describeError } from '../../runtime/base/errors.ts'
import type { Logger } from '../../runtime/base/log.ts'

const Deployment = v.object({
  version: v.number(),
  state: v.picklist(DEPLOYMENT_STATES),
  /** State writes so far. */
  transitions: v.number(),
  /** Why it was rolled back. */
  error: v.optional(v.string()),
})
export type Deployment = v.InferOutput<typeof Deployment>

const FunctionEntry = v.object({
  deployment: v.nullable(Deployment),
  /** The version to go back to: the last committed one that had proven itself, or simply the one before. Kept on disk. */
  previous: v.nullable(v.number()),
  /** A version committed in place of another that has not proven itself yet. */
  onWatch: v.optional(v.number()),
})
export type FunctionEntry = v.InferOutput<typeof FunctionEntry>

const Book = v.object({
  format: v.literal(1),
  desired: v.nullable(v.pick(Desired, ['revision', 'functions'])),
  functions: v.record(v.string(), FunctionEntry),
})
type Book = v.InferOutput<typeof Book>

const NO_ENTRY: FunctionEntry = { deployment: null, previous: null }

export class DeploymentBook {
  readonly #file: string
  readonly #logger: Logger
  #book: Book = { format: 1, desired: null, functions: {} }
  #writing: Promise<void> = Promise.resolve()

  constructor(functionsDir: string, logger: Logger) {
    this.#file = path.join(functionsDir, 'deployments.json')
    this.#logger = logger
  }

  /** A damaged file is kept aside: what is committed is still known from the disk, and the hub tells the desired state again. */
  async open(): Promise<void> {
    await makeDirectoryDurably(path.dirname(this.#file), 0o700)
    try {
      this.#book = v.parse(Book, JSON.parse(await readFile(this.#file, 'utf8')))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return
      this.#logger.error(
        { file: this.#file, error: describeError(error) },
        'deployments.json does not read; it is kept aside and the hub is asked again',
      )
      await rename(this.#file, `${this.#file}.damaged`)
    }
  }

  get desired(): Book['desired'] {
    return this.#book.desired
  }

  get names(): string[] {
    return Object.keys(this.#book.functions)
  }

  entry(name: string): FunctionEntry {
    return this.#book.functions[name] ?? NO_ENTRY
  }

  setDesired({ revision, functions }: Desired): Promise<void> {
    return this.#write({ ...this.#book, desired: { revision, functions } })
  }

  /** Undefined removes the function. */
  setEntry(name: string, entry: FunctionEntry | undefined): Promise<void> {
    const { [name]: _, ...others } = this.#book.functions
    return this.#write({ ...this.#book, functions: entry ? { ...others, [name]: entry } : others })
  }

  /** One write after the other; each writes the newest state. */
  #write(book: Book): Promise<void> {
    this.#book = book
    const writing = this.#writing.catch(() => {}).then(() => writeFileDurably(this.#file, JSON.stringify(this.#book, null, 2), 0o600))
    this.#writing = writing
    return writing
  }
}

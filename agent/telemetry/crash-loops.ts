import { PRODUCTION, slotName } from '../../config/routes.ts'
import type { Reported } from '../../config/wire.ts'
import type { FunctionStatus } from '../../runtime/functions/function-host.ts'

/** A crash loop ends by time alone: while there is one, it is looked at this often. */
const LOOK_MS = 30_000

export interface CrashLoopsOptions {
  readonly status: () => readonly Pick<FunctionStatus, 'name' | 'workers' | 'error' | 'aliases'>[]
  /** One has begun, or is over. */
  readonly onChange: () => void
}

/** The functions of this device whose workers end again and again, for the hub: a committed version may have nothing to go back to. */
export class CrashLoops {
  readonly #options: CrashLoopsOptions
  /** Function or function@alias to what ended its worker last. */
  #found: ReadonlyMap<string, string> = new Map()
  #timer: NodeJS.Timeout | undefined

  constructor(options: CrashLoopsOptions) {
    this.#options = options
  }

  /** Called when a worker has ended. */
  look(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const before = [...this.#found.keys()].join()
    this.#found = this.#find()
    if (this.#found.size > 0) this.#timer = setTimeout(() => this.look(), LOOK_MS).unref()
    if ([...this.#found.keys()].join() !== before) this.#options.onChange()
  }

  /** The rows, each committed version that is in a crash loop with that as its error. */
  mark(rows: Reported['functions']): Reported['functions'] {
    if (this.#found.size === 0) return rows
    return rows.map((row) => {
      const reason = row.state === 'committed' ? this.#found.get(slotName(row.name, row.alias ?? PRODUCTION)) : undefined
      return reason === undefined ? row : { ...row, ready: false, error: `crash loop: ${reason}` }
    })
  }

  close(): void {
    clearTimeout(this.#timer)
  }

  #find(): ReadonlyMap<string, string> {
    const found = new Map<string, string>()
    for (const { name, aliases, ...production } of this.#options.status()) {
      for (const { alias, workers, error } of [{ alias: PRODUCTION, ...production }, ...aliases]) {
        if (workers.crashLoop) found.set(slotName(name, alias), error ?? 'its workers end')
      }
    }
    return found
  }
}

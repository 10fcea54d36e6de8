import type { FunctionConfig } from '../../config/function-config.ts'
import type { Processor } from '../../runtime/processor.ts'
import { built } from './built-source.ts'
import { debugged, type DebugRequest } from './debugged.ts'
import { openFunctionSource, type FunctionSource } from './function-source.ts'

const STOP_MS = 2_000

/**
 * A function that is served from its source (`dunlin run`). It is read anew on demand; the version that runs goes on, with its
 * triggers and their clients, until the new one is ready, and for as long as the new one is not good.
 */
export class ServedSource {
  readonly #path: string
  readonly #debug: DebugRequest | null
  #current: FunctionSource | undefined
  #number = 0
  #turn: Promise<unknown> = Promise.resolve()

  constructor(path: string, debug: DebugRequest | null) {
    this.#path = path
    this.#debug = debug
  }

  /** Throws ConfigError and what openFunctionSource throws; rejects with why the workers are not ready. Then nothing has changed. */
  serveWith(processor: Processor): Promise<FunctionConfig> {
    const next = this.#turn.then(() => this.#serve(processor))
    this.#turn = next.catch(() => {})
    return next
  }

  async #serve(processor: Processor): Promise<FunctionConfig> {
    const source = await built(openFunctionSource(this.#path))
    const before = this.#current
    try {
      const { config, debug } = this.#debug ? debugged(source.config, this.#debug) : { config: source.config, debug: undefined }
      // A debugger's port takes one process at a time.
      if (debug && before) await processor.deactivate(before.config.name, STOP_MS)
      const version = this.#number++ === 0 ? 'source' : `source-${this.#number}`
      await processor.activate({ config, version, directory: source.folder, ...(debug ? { debug } : {}) })
    } catch (error) {
      source.close()
      throw error
    }
    this.#current = source
    if (before && before.config.name !== source.config.name) await processor.deactivate(before.config.name, STOP_MS)
    before?.close()
    return source.config
  }

  /** After the processor: a shell function is read from there for each event. */
  close(): void {
    this.#current?.close()
    this.#current = undefined
  }
}

import { InputError } from '../base/errors.ts'
import type { Store, StreamOptions } from '../store/store.ts'
import { STREAM_NAME_PATTERN } from '../../config/wire.ts'

const STREAMS_MAX = 1000

/** Stream names and their numbers in the store. A stream comes into being when a function first emits to it. */
export class StreamDirectory {
  readonly #store: Store
  readonly #ids = new Map<string, number>()
  readonly #names = new Map<number, string>()
  readonly #opening = new Map<string, Promise<number>>()
  readonly #onOpen: (id: number, name: string) => void

  constructor(store: Store, onOpen: (id: number, name: string) => void) {
    this.#store = store
    this.#onOpen = onOpen
  }

  /** The number of an open stream. */
  idOf(name: string): number | undefined {
    return this.#ids.get(name)
  }

  /** Throws InputError for a name that cannot be. */
  open(name: string, options?: StreamOptions): Promise<number> {
    const known = this.#ids.get(name)
    if (known !== undefined) return Promise.resolve(known)
    if (!STREAM_NAME_PATTERN.test(name)) {
      return Promise.reject(
        new InputError('stream-name', `Cannot emit to stream "${name.slice(0, 80)}": expected 1 to 128 of A-Z, a-z, 0-9, . _ -`),
      )
    }
    if (this.#ids.size >= STREAMS_MAX) {
      return Promise.reject(
        new InputError('streams-max', `Cannot open stream "${name}": ${STREAMS_MAX} streams are open, the most there may be`),
      )
    }
    let opening = this.#opening.get(name)
    if (!opening) {
      opening = this.#store
        .openStream(name, options)
        .then((id) => {
          this.#ids.set(name, id)
          this.#names.set(id, name)
          this.#onOpen(id, name)
          return id
        })
        .finally(() => this.#opening.delete(name))
      this.#opening.set(name, opening)
    }
    return opening
  }
}

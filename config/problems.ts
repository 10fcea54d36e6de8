/** Gathers what is wrong with one file, in the order of its lines, and throws it as one ConfigError. */
import { ConfigError, type ConfigProblem } from './config-error.ts'
import type { Path, Place } from './yaml-source.ts'

/** More than a reader wants; a file with thousands of problems is some other file. */
const PROBLEMS_MAX = 100

export class Problems {
  readonly #file: string
  readonly #found: ConfigProblem[] = []

  constructor(file: string) {
    this.#file = file
  }

  get count(): number {
    return this.#found.length
  }

  addAt(place: Place, path: Path | string, message: string, hint: string | null = null, file = this.#file): void {
    if (this.#found.length >= PROBLEMS_MAX) return
    this.#found.push({ file, ...place, path: typeof path === 'string' ? path : pathText(path), message, hint })
  }

  throwIfAny(): void {
    if (this.#found.length === 0) return
    throw new ConfigError(this.#found.toSorted((a, b) => a.line - b.line || a.column - b.column))
  }
}

/** `spec.triggers.a.attributes.subscriptions[0].topic` */
export function pathText(path: Path): string {
  let text = ''
  for (const step of path) text += typeof step === 'number' ? `[${step}]` : text ? `.${step}` : step
  return text
}

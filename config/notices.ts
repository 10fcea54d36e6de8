/** What was accepted and does nothing, in sentences with their place. */
import type { Checker } from './check.ts'
import { pathText } from './problems.ts'
import type { Path } from './yaml-source.ts'

export class Notices {
  readonly #checker: Checker
  readonly #file: string
  readonly #found: string[] = []

  constructor(checker: Checker, file: string) {
    this.#checker = checker
    this.#file = file
  }

  get all(): readonly string[] {
    return this.#found
  }

  /** `function.yaml:9:3 spec.replicas has no effect here: a device does not scale out` */
  add(path: Path, sentence: string): void {
    const { line, column } = this.#checker.placeOfKey(path)
    this.#found.push(`${this.#file}:${line}:${column} ${pathText(path)} ${sentence}`)
  }

  /** One notice for each field of `given` that `reasons` names and that says something: exported documents are full of `{}`, `""`, `0` and `false`. */
  withoutEffect(path: Path, given: Readonly<Record<string, unknown>>, reasons: Readonly<Record<string, string>>): void {
    for (const [field, reason] of Object.entries(reasons)) {
      if (!isEmpty(given[field])) this.add([...path, field], `has no effect here: ${reason}`)
    }
  }
}

function isEmpty(value: unknown): boolean {
  return !value || (typeof value === 'object' && Object.keys(value).length === 0)
}

/** What is wrong with something a person wrote. One error lists every problem, each with its place. */
export interface ConfigProblem {
  readonly file: string
  /** From 1; 0 when the problem has no place in a file (a file that is missing or too large). */
  readonly line: number
  readonly column: number
  /** `spec.triggers.a.numWorkers`; empty for the document itself. */
  readonly path: string
  /** `expected at least 1, got 0`. */
  readonly message: string
  /** What to write instead, when it can be guessed. */
  readonly hint: string | null
}

/** `code` is `config-invalid`. config/ imports nothing of ours, so this is not a DunlinError; it has the same fields. */
export class ConfigError extends Error {
  readonly code = 'config-invalid'
  readonly retryable = false
  readonly hint: string | undefined = undefined
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[], options: { cause?: unknown } = {}) {
    super(problems.map(problemText).join('\n'), options)
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `function.yaml:6:14 spec.triggers.a.numWorkers: expected at least 1, got 0` */
export function problemText({ file, line, column, path, message, hint }: ConfigProblem): string {
  const place = line > 0 ? `${file}:${line}:${column}` : file
  return `${place}${path ? ` ${path}` : ''}: ${message}${hint ? ` (${hint})` : ''}`
}

/**
 * Errors by who is at fault. Callers branch on `code`, never on text.
 * Text: action first, current value last, no full stop; `hint` says what to do next.
 */
export interface ErrorOptions {
  readonly cause?: unknown
  /** True when the same call may succeed later without anybody changing anything. */
  readonly retryable?: boolean
  /** What the reader should do next. */
  readonly hint?: string
}

export class DunlinError extends Error {
  readonly code: string
  readonly retryable: boolean
  readonly hint: string | undefined

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.retryable = options.retryable ?? false
    this.hint = options.hint
  }
}

/** What a person wrote is wrong: a config, a command line, a request. */
export class InputError extends DunlinError {}
/** A function's code failed: it threw, timed out, exited or answered nonsense. */
export class FunctionError extends DunlinError {}
/** The peer (device, hub, guest, client) broke the protocol. */
export class ProtocolError extends DunlinError {}
/** Something is not trusted: signature, digest, certificate, token. */
export class TrustError extends DunlinError {}
/** Disk, network or process limits of the machine. */
export class ResourceError extends DunlinError {}

/** What must hold by our own doing; a failure is a bug of ours. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new DunlinError('assertion-failed', message)
}

/** One line for people: the message, its causes, and the hint. */
export function describeError(error: unknown): string {
  const parts: string[] = []
  let hint: string | undefined
  for (let e: unknown = error; e !== undefined && e !== null; e = e instanceof Error ? e.cause : undefined) {
    parts.push(e instanceof Error ? e.message : typeof e === 'string' ? e : JSON.stringify(e))
    if (e instanceof DunlinError) hint ??= e.hint
  }
  return parts.join(': ') + (hint ? `\n  ${hint}` : '')
}

/** The code to branch on: a DunlinError's, or Node's (`ENOENT`), else 'unknown'. */
export function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return 'unknown'
}

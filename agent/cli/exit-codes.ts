/** Exit codes of `dunlin`, after sysexits.h where it has one. docs/cli.md lists them for people. */
import { codeOf, DunlinError, InputError } from '../../runtime/base/errors.ts'

export const Exit = {
  ok: 0,
  /** It was tried and it failed. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Nothing answers. */
  unavailable: 69,
  /** The same call may succeed later. */
  tryLater: 75,
  notPermitted: 77,
  config: 78,
} as const
export type Exit = (typeof Exit)[keyof typeof Exit]

const BY_CODE: Readonly<Record<string, Exit>> = {
  usage: Exit.usage,
  'config-invalid': Exit.config,
  'port-taken': Exit.config,
  'nothing-running': Exit.unavailable,
  'hub-unreachable': Exit.unavailable,
  'agent-unreachable': Exit.unavailable,
  'not-permitted': Exit.notPermitted,
  'secret-not-private': Exit.notPermitted,
  'hub-not-trusted': Exit.notPermitted,
  'home-in-use': Exit.tryLater,
  'data-dir-locked': Exit.tryLater,
  'data-dir-in-use': Exit.tryLater,
  EACCES: Exit.notPermitted,
  EPERM: Exit.notPermitted,
}

export function exitCodeOf(error: unknown): Exit {
  const known = BY_CODE[codeOf(error)]
  if (known !== undefined) return known
  if (error instanceof DunlinError && error.retryable) return Exit.tryLater
  return Exit.failed
}

/** The command line is wrong: exit code 2. */
export function usageError(message: string, hint?: string): InputError {
  return new InputError('usage', message, hint === undefined ? {} : { hint })
}

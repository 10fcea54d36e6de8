/** Errors as the API answers them: a status and `{error: {code, message, hint}}`. What is ours alone to know stays out of the answer. */
import { DunlinError, InputError, ResourceError, TrustError } from '../../runtime/base/errors.ts'

export interface ErrorAnswer {
  readonly status: number
  readonly body: { readonly error: { readonly code: string; readonly message: string; readonly hint: string | null } }
}

const STATUS: Readonly<Record<string, number>> = {
  'operator-token-required': 401,
  'device-certificate-required': 401,
  'route-unknown': 404,
  'device-unknown': 404,
  'function-unknown': 404,
  'blob-unknown': 404,
  'file-unknown': 404,
  'claim-token-unknown': 403,
  'method-not-allowed': 405,
  'body-timeout': 408,
  'device-name-taken': 409,
  'version-conflict': 409,
  'version-not-newer': 409,
  'target-changed': 409,
  'body-too-large': 413,
  'content-type-unknown': 415,
  'range-invalid': 416,
  'host-repeated': 421,
  'too-many-failures': 429,
  'digest-mismatch': 422,
  'size-mismatch': 422,
  'metadata-invalid': 422,
  'metadata-expired': 422,
  'signature-missing': 422,
  'root-inconsistent': 422,
  'online-key-missing': 422,
  'target-missing': 422,
  'target-mismatch': 422,
  'target-unknown': 422,
  'trust-not-ready': 503,
}

export function errorAnswer(error: unknown): ErrorAnswer {
  if (!(error instanceof DunlinError)) return answer(500, 'internal', 'The hub failed; its log says why', null)
  return answer(STATUS[error.code] ?? fallbackStatus(error), error.code, error.message, error.hint ?? null)
}

function fallbackStatus(error: DunlinError): number {
  if (error instanceof InputError) return 400
  if (error instanceof TrustError) return 403
  return error instanceof ResourceError ? 503 : 500
}

function answer(status: number, code: string, message: string, hint: string | null): ErrorAnswer {
  return { status, body: { error: { code, message, hint } } }
}

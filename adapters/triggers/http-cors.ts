/** CORS (the Fetch standard, 3.2): which headers an answer gets, decided apart from sending it. */
import type { CorsConfig } from '../../config/function-config.ts'

export interface CorsRequest {
  readonly method: string
  readonly origin: string | undefined
  /** Access-Control-Request-Method, -Headers and -Private-Network: a preflight has the first. */
  readonly wantedMethod: string | undefined
  readonly wantedHeaders: string | undefined
  readonly wantsPrivateNetwork: boolean
}

export interface CorsDecision {
  /** null: no preflight, the function answers. */
  readonly preflightStatus: 204 | 403 | null
  /** Names and values, one after the other. */
  readonly headers: readonly string[]
}

export function decideCors(cors: CorsConfig, request: CorsRequest): CorsDecision {
  const isPreflight = request.method === 'OPTIONS' && request.origin !== undefined && request.wantedMethod !== undefined
  const isOpen = cors.allowOrigins.includes('*')
  // A cache must not give one origin the answer for another; with `*` for all there is one answer.
  const headers = isOpen && !cors.allowCredentials ? [] : ['vary', 'Origin']
  const { origin } = request
  const isAllowed = origin !== undefined && (isOpen || cors.allowOrigins.some((allowed) => sameOrigin(allowed, origin)))
  if (!isAllowed) return { preflightStatus: isPreflight ? 403 : null, headers }
  headers.push('access-control-allow-origin', isOpen && !cors.allowCredentials ? '*' : origin)
  if (cors.allowCredentials) headers.push('access-control-allow-credentials', 'true')
  if (!isPreflight) {
    if (cors.exposeHeaders.length > 0) headers.push('access-control-expose-headers', cors.exposeHeaders.join(', '))
    return { preflightStatus: null, headers }
  }
  headers.push('access-control-allow-methods', cors.allowMethods.join(', '))
  if (cors.allowHeaders.length > 0) headers.push('access-control-allow-headers', cors.allowHeaders.join(', '))
  headers.push('access-control-max-age', String(cors.preflightMaxAgeSeconds))
  if (request.wantsPrivateNetwork && cors.allowPrivateNetwork) headers.push('access-control-allow-private-network', 'true')
  return { preflightStatus: 204, headers }
}

/** Scheme and host are without case (RFC 6454 4). */
function sameOrigin(allowed: string, origin: string): boolean {
  return allowed.toLowerCase() === origin.toLowerCase()
}

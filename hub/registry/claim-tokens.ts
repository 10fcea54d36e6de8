/**
 * Claim tokens: `dnl1.<secret>.<fingerprint of the authority>`. A token can enrol devices and nothing else. The hub keeps the
 * SHA-256 of the secret; the token itself is shown once. Looking it up by its hash takes no time that depends on the secret.
 */
import { createHash, randomBytes } from 'node:crypto'
import { CLAIM_TOKEN_PATTERN } from '../../config/wire.ts'
import { TrustError } from '../../runtime/base/errors.ts'
import type { HubDatabase } from '../database/hub-database.ts'
import type { Audit } from './audit.ts'

const SECRET_BYTES = 24

export interface ClaimToken {
  readonly id: number
  readonly label: string
  readonly uses_left: number
  readonly expires_ms: number
  readonly created_ms: number
}

export class ClaimTokens {
  readonly #database: HubDatabase
  readonly #audit: Audit
  readonly #fingerprint: string

  constructor(database: HubDatabase, audit: Audit, fingerprint: string) {
    this.#database = database
    this.#audit = audit
    this.#fingerprint = fingerprint
  }

  create(options: { uses: number; expiresInMs: number; label: string }): { id: number; token: string; expiresMs: number } {
    const secret = randomBytes(SECRET_BYTES).toString('base64url')
    const now = Date.now()
    const row = {
      secret_hash: hashOf(secret),
      label: options.label,
      uses_left: options.uses,
      expires_ms: now + options.expiresInMs,
      created_ms: now,
    }
    const id = this.#database.transaction(() => {
      const { lastId } = this.#database.run(this.#database.query.insertInto('claim_tokens').values(row))
      this.#audit.add({ actor: 'operator', action: 'claim-token.created', subject: String(lastId), detail: { ...options } })
      return lastId
    })
    return { id, token: `dnl1.${secret}.${this.#fingerprint}`, expiresMs: row.expires_ms }
  }

  list(): ClaimToken[] {
    return this.#database.all(
      this.#database.query.selectFrom('claim_tokens').select(['id', 'label', 'uses_left', 'expires_ms', 'created_ms']).orderBy('id'),
    )
  }

  revoke(id: number): boolean {
    return this.#database.transaction(() => {
      const { changes } = this.#database.run(
        this.#database.query.updateTable('claim_tokens').set({ uses_left: 0, expires_ms: 0 }).where('id', '=', id),
      )
      if (changes > 0) this.#audit.add({ actor: 'operator', action: 'claim-token.revoked', subject: String(id) })
      return changes > 0
    })
  }

  /** The token's row. Throws TrustError 'claim-token-unknown'. Whether it may still be used is asked by `use`. */
  find(token: string): ClaimToken {
    const [, secret, fingerprint] = token.split('.')
    if (!CLAIM_TOKEN_PATTERN.test(token) || secret === undefined || fingerprint !== this.#fingerprint) throw unknownToken()
    const { query } = this.#database
    const columns = ['id', 'label', 'uses_left', 'expires_ms', 'created_ms'] as const
    const row = this.#database.first(query.selectFrom('claim_tokens').select(columns).where('secret_hash', '=', hashOf(secret)))
    if (!row) throw unknownToken()
    return row
  }

  /** Takes one use, inside the caller's transaction. */
  use(id: number): void {
    const { query } = this.#database
    const row = this.#database.first(query.selectFrom('claim_tokens').select(['uses_left', 'expires_ms']).where('id', '=', id))
    if (!row) throw unknownToken()
    checkUsable(row)
    this.#database.run(
      query
        .updateTable('claim_tokens')
        .set({ uses_left: row.uses_left - 1 })
        .where('id', '=', id),
    )
  }
}

export function checkUsable(token: { uses_left: number; expires_ms: number }): void {
  const hint = 'Make a new one with POST /v1/claim-tokens, or "dunlin token"'
  if (token.expires_ms <= Date.now()) throw new TrustError('claim-token-expired', 'Cannot enrol: the claim token has expired', { hint })
  if (token.uses_left < 1) throw new TrustError('claim-token-spent', 'Cannot enrol: the claim token has no uses left', { hint })
}

function unknownToken(): TrustError {
  return new TrustError('claim-token-unknown', 'Cannot enrol: this hub did not give out the claim token', {
    hint: 'Check that the token is whole and that the hub address is the one it was made for',
  })
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

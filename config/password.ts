/** Passwords are kept as scrypt hashes: `scrypt$N$r$p$salt$hash`, the last two in base64. */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'

export const PASSWORD_HASH_PATTERN = /^scrypt\$(\d{1,7})\$(\d{1,2})\$(\d{1,2})\$([A-Za-z0-9+/]{16,88}={0,2})\$([A-Za-z0-9+/]{22,88}={0,2})$/

/** 16 MiB and about 50 ms on a laptop: what a small board can bear at each connect. */
const COST = { N: 16_384, r: 8, p: 1 } as const
const SALT_BYTES = 16
const HASH_BYTES = 32
/** A hash that asks for more memory than this was not made here. */
const MEMORY_BYTES_MAX = 256 * 1024 * 1024

interface Cost {
  readonly N: number
  readonly r: number
  readonly p: number
}

export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const hash = await derive(password, salt, HASH_BYTES, COST)
  return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toString('base64')}$${hash.toString('base64')}`
}

/** False also for a text that is no hash: a broken config lets nobody in. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const parsed = parseHash(stored)
  if (!parsed) return false
  const { cost, salt, hash } = parsed
  return timingSafeEqual(await derive(password, salt, hash.length, cost), hash)
}

/** Whether `stored` is a hash that verifyPassword can work with. */
export function isPasswordHash(stored: string): boolean {
  return parseHash(stored) !== null
}

function parseHash(stored: string): { cost: Cost; salt: Buffer; hash: Buffer } | null {
  const found = PASSWORD_HASH_PATTERN.exec(stored)
  if (!found) return null
  const [N, r, p] = found.slice(1, 4).map(Number) as [number, number, number]
  const isPowerOfTwo = N > 1 && Number.isInteger(Math.log2(N))
  if (!isPowerOfTwo || r < 1 || p < 1 || p > 16 || 128 * N * r > MEMORY_BYTES_MAX) return null
  return { cost: { N, r, p }, salt: Buffer.from(found[4]!, 'base64'), hash: Buffer.from(found[5]!, 'base64') }
}

function derive(password: string, salt: Buffer, bytes: number, cost: Cost): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, bytes, { ...cost, maxmem: 2 * MEMORY_BYTES_MAX }, (error, key) => (error ? reject(error) : resolve(key)))
  })
}

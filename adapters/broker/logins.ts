import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { BrokerConfig } from '../../config/agent-config.ts'
import { hashPassword, verifyPassword } from '../../config/password.ts'
import { sleep } from '../../runtime/base/backoff.ts'
import type { Authenticate, AuthVerdict, ConnectAttempt } from './contract.ts'
import { nameFault } from './names.ts'

const DELAY_FIRST_MS = 100
const DELAY_MAX_MS = 3000
/** A failure is forgotten after this long without another. */
const FORGET_MS = 60_000
const ADDRESSES_MAX = 1000

/**
 * Lets clients in by the device's own rules: a verified certificate, else user and password, else nobody in particular where
 * that is allowed. A wrong password is never "anonymous". Failures of an address are answered ever more slowly; the right
 * password is not. One scrypt at a time: a storm of logins must not take the machine.
 */
export class Logins {
  readonly #config: Pick<BrokerConfig, 'users' | 'allowAnonymous'>
  readonly #signal: AbortSignal
  readonly #nowMs: () => number
  readonly #failures = new Map<string, { count: number; lastMs: number }>()
  /** Passwords that were right, so that a thousand reconnects cost one scrypt each only once. */
  readonly #known = new Map<string, Buffer>()
  readonly #key = randomBytes(32)
  #decoy: Promise<string> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(config: Pick<BrokerConfig, 'users' | 'allowAnonymous'>, signal: AbortSignal, nowMs: () => number) {
    this.#config = config
    this.#signal = signal
    this.#nowMs = nowMs
  }

  readonly authenticate: Authenticate = async (attempt) => {
    const verdict = await this.#judge(attempt)
    if ('refuse' in verdict && attempt.username !== null) await this.#slowDown(attempt.address)
    return verdict
  }

  async #judge({ certificate, username, password, isLoopback }: ConnectAttempt): Promise<AuthVerdict> {
    if (certificate !== null) {
      const name = certificate.subject?.CN
      return typeof name === 'string' && nameFault(name) === null && name !== ''
        ? { identity: name }
        : { refuse: 'the certificate has no usable common name', returnCode: 5 }
    }
    if (username === null) {
      const { allowAnonymous } = this.#config
      if (allowAnonymous === true || (allowAnonymous === 'loopback' && isLoopback)) return { identity: '' }
      return { refuse: 'a user name is needed', returnCode: 5 }
    }
    const secret = password?.toString('utf8') ?? ''
    const isRight = this.#isKnown(username, secret) || (await this.#inTurn(() => this.#isRight(username, secret)))
    return isRight ? { identity: username } : { refuse: 'wrong user name or password', returnCode: 4 }
  }

  #isKnown(username: string, password: string): boolean {
    const known = this.#known.get(username)
    return known !== undefined && timingSafeEqual(known, this.#digest(password))
  }

  #digest(password: string): Buffer {
    return createHmac('sha256', this.#key).update(password).digest()
  }

  async #isRight(username: string, password: string): Promise<boolean> {
    const user = this.#config.users.find(({ name }) => name === username)
    // An unknown user costs as much time as a known one.
    const isRight = await verifyPassword(
      password,
      user?.password ?? (await (this.#decoy ??= hashPassword(randomBytes(16).toString('hex')))),
    )
    if (user === undefined || !isRight) return false
    this.#known.set(username, this.#digest(password))
    return true
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return turn
  }

  async #slowDown(address: string): Promise<void> {
    const nowMs = this.#nowMs()
    const before = this.#failures.get(address)
    const count = before !== undefined && nowMs - before.lastMs < FORGET_MS ? before.count + 1 : 1
    this.#failures.delete(address)
    this.#failures.set(address, { count, lastMs: nowMs })
    if (this.#failures.size > ADDRESSES_MAX) this.#failures.delete(this.#failures.keys().next().value!)
    await sleep(Math.min(DELAY_MAX_MS, DELAY_FIRST_MS * 2 ** Math.min(10, count - 1)), this.#signal).catch(() => {})
  }
}

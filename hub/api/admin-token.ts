/** The operator's bearer token: 256 bits, made at first start, in a private file. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readPrivateFile, writeDurably } from '../../runtime/base/durable-file.ts'

const TOKEN_BYTES = 32

export class AdminToken {
  readonly #digest: Buffer

  private constructor(token: string) {
    this.#digest = digest(token)
  }

  static open(file: string): AdminToken {
    let token = readPrivateFile(file)?.trim()
    if (!token) {
      token = randomBytes(TOKEN_BYTES).toString('base64url')
      writeDurably(file, `${token}\n`)
    }
    return new AdminToken(token)
  }

  /** Whether an Authorization header carries it. Takes the same time for any token. */
  matches(header: string | undefined): boolean {
    const given = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(header ?? '')?.[1]
    return given !== undefined && timingSafeEqual(digest(given), this.#digest)
  }
}

function digest(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

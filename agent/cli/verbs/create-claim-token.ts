import { parseDurationMs } from '../../../config/units.ts'
import type { Call } from '../call.ts'
import { usageError } from '../exit-codes.ts'

export interface CreateClaimTokenOptions {
  readonly uses: number
  readonly expires: string
  readonly label?: string
}

/** A token that lets so many devices enrol. It is shown this once: the hub keeps only its hash. */
export async function createClaimToken({ hub, printer }: Call, { uses, expires, label }: CreateClaimTokenOptions): Promise<void> {
  const expiresInMs = parseDurationMs(expires)
  if (Number.isNaN(expiresInMs)) throw usageError(`Cannot read --expires ${expires}: expected a duration like 24h or 30m`)
  const answer = (await hub.post('/v1/claim-tokens', { uses, expiresInMs, ...(label === undefined ? {} : { label }) })) as {
    id: number
    token: string
    expires: string
  }
  if (printer.isTty)
    printer.remark(
      `For ${uses} ${uses === 1 ? 'device' : 'devices'} until ${answer.expires}. Put it into a file (mode 0600) on the device, then there:\n  dunlin agent --hub ${hub.url} --claim-token-file <file>`,
    )
  printer.result(answer, () => answer.token)
}

import { AT } from '../event/record.ts'
import { resultRecord } from '../event/result-record.ts'
import type { Answer, Delivery } from './delivery.ts'
import type { AnswerStream } from './answer-stream.ts'

/** A streamed answer that nobody takes in parts is kept in memory up to this. */
const GATHERED_BYTES_MAX = 16 * 1024 * 1024

/** Puts the parts of an answer together for those who take it whole. Without `isWanted` they are thrown away as they come. */
export class GatheredBody {
  readonly head: Answer
  readonly #parts: Buffer[] = []
  #bytes = 0
  #isTooLarge = false

  constructor(head: Answer, stream: AnswerStream, isWanted: boolean) {
    this.head = head
    stream.read({
      part: (bytes) => {
        this.#bytes += bytes.length
        this.#isTooLarge = isWanted && this.#bytes > GATHERED_BYTES_MAX
        if (this.#isTooLarge) return stream.cancel()
        if (isWanted) this.#parts.push(bytes)
        stream.taken(bytes.length)
      },
      end: () => {},
    })
  }

  /** Why there is no body; undefined: there is one. */
  get error(): string | undefined {
    return this.#isTooLarge ? `The streamed answer is larger than ${GATHERED_BYTES_MAX} bytes` : undefined
  }

  get body(): Buffer {
    return Buffer.concat(this.#parts)
  }
}

/** The RESULT of an answer that came in parts: with its head, and its body where it was gathered. */
export function gatheredResult(delivery: Delivery, given: Buffer): Buffer {
  if (given.readUInt16LE(AT.status) >= 500) return given
  if (delivery.isStreaming) return streamedResult(delivery, given)
  const { gathered } = delivery
  if (!gathered) return given
  const { error, head, body } = gathered
  const result = resultRecord(error === undefined ? { ...head, body } : { ...head, status: 500, error, body: EMPTY })
  result[AT.flags] = given[AT.flags]!
  return result
}

/** Whole for its caller, and yet a failure: it said so in its head. */
function streamedResult({ stream, streamedStatus }: Delivery, given: Buffer): Buffer {
  if (streamedStatus < 500) return given
  stream!.finish(null)
  const result = Buffer.from(given)
  result.writeUInt16LE(streamedStatus, AT.status)
  return result
}

const EMPTY = Buffer.alloc(0)

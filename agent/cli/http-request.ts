/** One request, one answer, over whatever node:http or node:https can reach. Nothing waits for ever; nothing is retried. */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, RequestOptions } from 'node:http'
import { DunlinError, InputError, ProtocolError, ResourceError } from '../../runtime/base/errors.ts'

const IDLE_TIMEOUT_MS = 60_000
const ANSWER_BYTES_MAX = 256 * 1024 * 1024

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

type Send = (options: RequestOptions, onResponse: (response: IncomingMessage) => void) => ClientRequest

export function sendRequest(send: Send, options: RequestOptions, body: Uint8Array | undefined, signal?: AbortSignal): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const headers = { ...(options.headers as Record<string, string>), ...(body && { 'content-length': String(body.length) }) }
  const request = send({ ...options, headers, ...(signal && { signal }) }, (response) => {
    readAll(response).then((bytes) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: bytes }), reject)
  })
  request.setTimeout(IDLE_TIMEOUT_MS, () =>
    request.destroy(new ResourceError('answer-late', `Nothing came for ${IDLE_TIMEOUT_MS} ms`, { retryable: true })),
  )
  request.on('error', reject)
  request.end(body)
  return promise
}

async function readAll(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > ANSWER_BYTES_MAX)
      throw new ProtocolError('answer-too-long', `Cannot take an answer of more than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function jsonOf({ body }: Answer): unknown {
  try {
    return JSON.parse(body.toString('utf8')) as unknown
  } catch (cause) {
    throw new ProtocolError('answer-invalid', 'Cannot read the answer: it is no JSON', { cause })
  }
}

/** The answer of a 2xx; else what the other side says is wrong: {error: {code, message, hint}}. */
export function checkStatus(answer: Answer, who: string): Answer {
  const { status } = answer
  if (status >= 200 && status < 300) return answer
  let told: { code?: unknown; message?: unknown; hint?: unknown } = {}
  try {
    told = (JSON.parse(answer.body.toString('utf8')) as { error?: typeof told }).error ?? {}
  } catch {
    // A status alone has to do.
  }
  const message = typeof told.message === 'string' ? told.message : `The ${who} answered with status ${status}`
  const options = { retryable: status === 429 || status === 503, ...(typeof told.hint === 'string' && { hint: told.hint }) }
  if (status === 401 || status === 403) throw new InputError('not-permitted', message, options)
  throw new DunlinError(typeof told.code === 'string' ? told.code : `status-${status}`, message, options)
}

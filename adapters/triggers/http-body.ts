import type { IncomingMessage, ServerResponse } from 'node:http'
import { ResourceError } from '../../runtime/base/errors.ts'

export interface BodyLimits {
  readonly bytesMax: number
  /** Slower than this, averaged over each `stallTimeoutMs`, and the request is given up. */
  readonly bytesPerSecondMin: number
  readonly stallTimeoutMs: number
}

/** After a refusal the client may still be sending: so much is read and thrown away, so that it sees the answer and no reset. */
const LINGER_MS = 2_000

/**
 * Reads a body whole. `done` is called once, with the body or with why there is none: 'body-too-large' (known before anything is
 * kept when the length was announced) or 'body-too-slow'. A client that goes away is told nothing.
 */
export function readBody(
  request: IncomingMessage,
  response: ServerResponse,
  limits: BodyLimits,
  done: (body: Buffer | ResourceError) => void,
): void {
  const announced = request.headers['content-length']
  if (announced === undefined && request.headers['transfer-encoding'] === undefined) return done(EMPTY)
  if (announced === '0') return done(EMPTY)
  if (announced !== undefined && Number(announced) > limits.bytesMax) return refuse(request, tooLarge(limits), done)
  // Node leaves the 100 to us (checkContinue), so that a body that is not taken is not sent.
  if (request.headers.expect !== undefined) response.writeContinue()
  const chunks: Buffer[] = []
  let bytes = 0
  let isOver = false
  const stopWatching = watchRate(
    () => bytes,
    limits,
    () => {
      if (isOver) return
      isOver = true
      chunks.length = 0
      done(new ResourceError('body-too-slow', `The body came slower than ${limits.bytesPerSecondMin} bytes per second`))
    },
  )
  request.on('data', (chunk: Buffer) => {
    if (isOver) return
    bytes += chunk.length
    if (bytes <= limits.bytesMax) return void chunks.push(chunk)
    isOver = true
    stopWatching()
    chunks.length = 0
    refuse(request, tooLarge(limits), done)
  })
  request.on('end', () => {
    stopWatching()
    if (!isOver) done(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, bytes))
  })
  // The client went away: there is nobody to answer.
  request.on('error', () => {})
  request.on('close', stopWatching)
}

function tooLarge({ bytesMax }: BodyLimits): ResourceError {
  return new ResourceError('body-too-large', `The body is larger than ${bytesMax} bytes`)
}

function refuse(request: IncomingMessage, error: ResourceError, done: (error: ResourceError) => void): void {
  done(error)
  if (request.headers.expect !== undefined && !request.readableFlowing) return request.socket.destroySoon()
  request.on('error', () => {})
  request.resume()
  const timer = setTimeout(() => request.socket.destroy(), LINGER_MS)
  request.on('close', () => clearTimeout(timer))
}

/** Calls `onSlow` once when less came than should in one interval. Returns what ends the watch. */
function watchRate(bytesSoFar: () => number, { bytesPerSecondMin, stallTimeoutMs }: BodyLimits, onSlow: () => void): () => void {
  let before = 0
  const timer = setInterval(() => {
    const now = bytesSoFar()
    if ((now - before) * 1000 >= bytesPerSecondMin * stallTimeoutMs) return void (before = now)
    clearInterval(timer)
    onSlow()
  }, stallTimeoutMs)
  return () => clearInterval(timer)
}

const EMPTY = Buffer.alloc(0)

import type { IncomingMessage } from 'node:http'
import { InputError } from '../../runtime/base/errors.ts'
import { tooLarge } from '../blobs/blob-store.ts'

/** The whole body as text. One that says it is too large is refused before a byte of it is read; a slow one after `timeoutMs`. */
export async function readBody(request: IncomingMessage, options: { bytesMax: number; timeoutMs: number }): Promise<string> {
  checkLength(request, options.bytesMax)
  const timer = setTimeout(() => request.destroy(new InputError('body-timeout', 'Cannot wait longer for the body')), options.timeoutMs)
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      bytes += (chunk as Buffer).length
      if (bytes > options.bytesMax) throw tooLarge(options.bytesMax)
      chunks.push(chunk as Buffer)
    }
  } finally {
    clearTimeout(timer)
  }
  return Buffer.concat(chunks).toString()
}

export function checkLength(request: IncomingMessage, bytesMax: number): void {
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw tooLarge(bytesMax)
}

/** A body as bytes, with the content type that follows from what it was. */
export interface Content {
  readonly bytes: Buffer
  readonly contentType: string | undefined
}

/** string -> text, bytes -> bytes, anything else -> JSON. */
export function toBytes(body: unknown, contentType?: string): Content {
  if (body === undefined || body === null) return { bytes: EMPTY, contentType }
  if (typeof body === 'string') return { bytes: Buffer.from(body), contentType: contentType ?? 'text/plain' }
  if (Buffer.isBuffer(body)) return { bytes: body, contentType: contentType ?? 'application/octet-stream' }
  if (body instanceof Uint8Array) {
    return { bytes: Buffer.from(body.buffer, body.byteOffset, body.byteLength), contentType: contentType ?? 'application/octet-stream' }
  }
  return { bytes: Buffer.from(JSON.stringify(body) ?? 'null'), contentType: contentType ?? 'application/json' }
}

const EMPTY = Buffer.alloc(0)

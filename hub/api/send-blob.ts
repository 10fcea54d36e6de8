import type Koa from 'koa'
import { InputError } from '../../runtime/base/errors.ts'
import type { BlobStore } from '../blobs/blob-store.ts'
import { parseRange } from './byte-range.ts'

/** Answers with a blob or the asked part of it. A blob never changes, so its digest is its ETag. */
export function sendBlob(http: Koa.Context, blobs: BlobStore, digest: string): void {
  const size = blobs.size(digest)
  if (size === undefined) throw new InputError('blob-unknown', 'Cannot find this blob')
  const etag = `"${digest}"`
  http.set({
    'Accept-Ranges': 'bytes',
    ETag: etag,
    'Content-Type': 'application/octet-stream',
    'Cache-Control': 'private, immutable, max-age=31536000',
  })
  // If-Range: a part only helps when it is a part of the same thing.
  const ifRange = http.get('If-Range')
  const header = ifRange === '' || ifRange === etag ? http.get('Range') : ''
  let range
  try {
    range = parseRange(header, size)
  } catch (error) {
    http.set('Content-Range', `bytes */${size}`)
    throw error
  }
  http.status = range ? 206 : 200
  if (range) http.set('Content-Range', `bytes ${range.first}-${range.last}/${size}`)
  http.length = range ? range.last - range.first + 1 : size
  http.body = size === 0 ? Buffer.alloc(0) : blobs.read(digest, range)
}

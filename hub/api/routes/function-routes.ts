import * as v from 'valibot'
import { InputError } from '../../../runtime/base/errors.ts'
import type { HubParts } from '../../hub-parts.ts'
import { PublishRequest } from '../../registry/functions.ts'
import { iso } from '../device-json.ts'
import { checkLength } from '../read-body.ts'
import { route, type Route } from '../route.ts'
import { sendBlob } from '../send-blob.ts'

/** A manifest of 4,096 files and targets of some 20,000 versions. */
const METADATA_BYTES_MAX = 8 * 1024 * 1024

const TrustRequest = v.strictObject({ root: v.string(), targets: v.string() })

export function functionRoutes({ functions, blobs, trust, audit }: HubParts): Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/functions',
      auth: 'operator',
      summary: 'Published function versions',
      handler: () => ({ functions: functions.list().map(({ created_ms, ...rest }) => ({ ...rest, created: iso(created_ms) })) }),
    },
    {
      method: 'GET',
      path: '/v1/functions/:name/:version',
      auth: 'operator',
      summary: 'The manifest of a version, as it was signed',
      handler: ({ params, http }) => {
        const found = functions.find(params['name']!, Number(params['version']))
        if (!found) throw new InputError('function-unknown', 'Cannot find this function version')
        http.type = 'application/json'
        return found.manifest
      },
    },
    route({
      method: 'POST',
      path: '/v1/functions',
      auth: 'operator',
      summary: 'Publishes a signed version whose files are here',
      body: PublishRequest,
      bodyBytesMax: METADATA_BYTES_MAX,
      handler: ({ body }) => {
        const { created_ms, ...published } = functions.publish(body.manifest, body.targets)
        return { ...published, created: iso(created_ms) }
      },
    }),
    {
      method: 'PUT',
      path: '/v1/blobs/:sha256',
      auth: 'operator',
      summary: 'Stores a file of a bundle under its digest (raw body)',
      handler: async ({ params, http }) => {
        const digest = params['sha256']!
        checkLength(http.req, blobs.bytesMax)
        const size = blobs.size(digest) ?? (await blobs.put(digest, http.req))
        return { sha256: digest, size }
      },
    },
    {
      method: 'HEAD',
      path: '/v1/blobs/:sha256',
      auth: 'operator',
      summary: 'Whether a file is here',
      handler: ({ params, http }) => {
        const size = blobs.size(params['sha256']!)
        if (size === undefined) throw new InputError('blob-unknown', 'Cannot find this blob')
        http.status = 200
        http.length = size
      },
    },
    {
      method: 'GET',
      path: '/v1/blobs/:sha256',
      auth: 'operator',
      summary: 'A file of a bundle (Range)',
      handler: ({ params, http }) => sendBlob(http, blobs, params['sha256']!),
    },
    {
      method: 'GET',
      path: '/v1/tuf/:file',
      auth: 'operator',
      summary: "TUF metadata by name; `online-keys` gives the hub's own keys for root.json",
      handler: ({ params, http }) => {
        if (params['file'] === 'online-keys') return trust.onlineKeys()
        const text = trust.read(params['file']!)
        if (text === undefined) throw new InputError('file-unknown', 'Cannot find this metadata')
        http.type = 'application/json'
        return text
      },
    },
    route({
      method: 'POST',
      path: '/v1/tuf/init',
      auth: 'operator',
      summary: 'Gives the hub its first root and targets, or the next root',
      body: TrustRequest,
      bodyBytesMax: METADATA_BYTES_MAX,
      handler: ({ body }) => {
        const before = trust.status()
        trust.initialise(body.root, body.targets)
        // The new targets may leave versions out.
        functions.open()
        const after = trust.status()
        if (after.rootVersion !== before.rootVersion)
          audit.add({ actor: 'operator', action: 'trust.root', subject: String(after.rootVersion) })
        return after
      },
    }),
  ]
}

/** What devices call. All but enrolment need the certificate that enrolment gives. */
import { EnrolRequest, FUNCTION_NAME_PATTERN, type EnrolResponse } from '../../../config/wire.ts'
import { InputError, TrustError } from '../../../runtime/base/errors.ts'
import type { HubParts } from '../../hub-parts.ts'
import { FailureLimit } from '../../registry/rate-limit.ts'
import { route, type Route } from '../route.ts'
import { sendBlob } from '../send-blob.ts'

const ENROL_BYTES_MAX = 64 * 1024
const FAILURES_MAX = 10
const FAILURE_WINDOW_MS = 60_000
const TARGET_FILE_PATTERN = /^([0-9a-f]{64})\.([1-9][0-9]*)\.json$/

export function deviceRoutes(parts: HubParts): Route[] {
  const { blobs, trust, functions } = parts
  return [
    enrolRoute(parts),
    {
      method: 'GET',
      path: '/device/v1/tuf/:file',
      auth: 'device',
      summary: 'TUF metadata: timestamp.json, N.root.json, N.snapshot.json, N.targets.json',
      handler: ({ params, http }) => {
        const text = trust.read(params['file']!)
        if (text === undefined) throw new InputError('file-unknown', 'Cannot find this metadata')
        http.type = 'application/json'
        return text
      },
    },
    {
      method: 'GET',
      path: '/device/v1/targets/functions/:name/:file',
      auth: 'device',
      summary: 'A manifest as TUF target: <sha256>.<version>.json',
      handler: ({ params, http }) => {
        const [, digest, version] = TARGET_FILE_PATTERN.exec(params['file']!) ?? []
        const found = FUNCTION_NAME_PATTERN.test(params['name']!) && version ? functions.find(params['name']!, Number(version)) : undefined
        if (!found || found.digest !== digest) throw new InputError('file-unknown', 'Cannot find this target')
        http.type = 'application/json'
        return found.manifest
      },
    },
    {
      method: 'GET',
      path: '/device/v1/blobs/:sha256',
      auth: 'device',
      summary: 'A file of a bundle (Range)',
      handler: ({ params, http }) => sendBlob(http, blobs, params['sha256']!),
    },
  ]
}

function enrolRoute({ config, authority, enrolment, trust, gateway }: HubParts): Route {
  const failures = new FailureLimit({ max: FAILURES_MAX, windowMs: FAILURE_WINDOW_MS })
  return route({
    method: 'POST',
    path: '/device/v1/enrol',
    auth: 'enrol',
    summary: 'A claim token and a key become a device with a certificate',
    body: EnrolRequest,
    bodyBytesMax: ENROL_BYTES_MAX,
    handler: async ({ body, address, http }): Promise<EnrolResponse> => {
      failures.check(address)
      try {
        // Asked first: a hub that cannot answer wholly must not take the token.
        const tufRoot = trust.rootText()
        const { device, certificate } = await enrolment.enrol(body)
        const host = config.advertise.host ?? hostOf(http.get('Host'), config.names)
        return {
          device,
          certificate,
          ca: authority.certificate,
          tufRoot,
          gateway: { host, port: config.advertise.gatewayPort ?? gateway.address.port },
        }
      } catch (error) {
        if (error instanceof TrustError) failures.failed(address)
        throw error
      }
    },
  })
}

/** The name the device itself used: it reaches the gateway by the same one. */
function hostOf(header: string, names: readonly string[]): string {
  const host = URL.parse(`https://${header}`)?.hostname.replace(/^\[|\]$/g, '')
  return host || names[0] || 'localhost'
}

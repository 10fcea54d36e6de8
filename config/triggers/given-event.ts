/** The event that a trigger without a source of bodies (cron, kickstart) gives: `event: { body, headers }`, as Nuclio writes it. */
import * as v from 'valibot'

const MiB = 1024 * 1024
const HEADERS_MAX = 100

export interface GivenEvent {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

export const givenEvent = v.optional(
  v.pipe(
    v.strictObject({
      body: v.optional(v.pipe(v.string(), v.maxLength(MiB, 'at most 1048576 characters')), ''),
      headers: v.optional(
        v.pipe(
          v.record(v.pipe(v.string(), v.maxLength(63, 'a name of at most 63 characters')), v.union([v.string(), v.number(), v.boolean()])),
          v.check((headers) => Object.keys(headers).length <= HEADERS_MAX, `at most ${HEADERS_MAX} headers`),
        ),
        {},
      ),
    }),
    v.transform(({ body, headers }): GivenEvent => ({
      body,
      headers: Object.fromEntries(Object.entries(headers).map(([key, value]) => [key, String(value)])),
    })),
  ),
  {},
)

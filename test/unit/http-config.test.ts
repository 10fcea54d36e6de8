import test from 'ava'
import type { ConfigError } from '../../config/config-error.ts'
import { parseFunctionConfig, type HttpTriggerConfig } from '../../config/function-config.ts'

const indented = (text: string) => text.replace(/^/gm, '      ')
const document = (trigger: string) => `metadata: { name: f }\nspec:\n  runtime: python\n  triggers:\n    a:\n${indented(trigger)}`
const triggerOf = (trigger: string) => parseFunctionConfig(document(trigger), 'function.yaml').triggers[0] as HttpTriggerConfig

/** Where the first problem is. */
function problemAt(trigger: string): string | undefined {
  try {
    parseFunctionConfig(document(trigger), 'function.yaml')
    return undefined
  } catch (error) {
    return (error as ConfigError).problems[0]!.path
  }
}

test('an http trigger listens on loopback unless an address is written, and has limits of its own there', (t) => {
  const server = (rest: string) => triggerOf(`kind: http\n${rest}`).server
  t.deepEqual(server('attributes: {port: 9000}')?.listen, { host: '127.0.0.1', port: 9000 })
  t.deepEqual(server('url: ":8080"')?.listen, { host: '127.0.0.1', port: 8080 })
  t.deepEqual(server('url: "0.0.0.0:8080"\nattributes: {port: 9000}')?.listen, { host: '0.0.0.0', port: 9000 })
  t.deepEqual(server('url: "[::1]:0"')?.listen, { host: '::1', port: 0 })
  t.like(server('attributes: {port: 1, limits: {maxHeaderSize: 8KiB, stallTimeout: 2s}}')?.limits, {
    headerBytesMax: 8192,
    stallTimeoutMs: 2000,
    headersMax: 100,
  })
  t.is(server('attributes: {port: 1, readBufferSize: 4096}')?.limits.headerBytesMax, 4096)
  const path = (rest: string) => problemAt(`kind: http\n${rest}`)
  t.is(path('url: "8080"'), 'spec.triggers.a.url')
  t.is(path('attributes: {limits: {maxHeaders: 5}}'), 'spec.triggers.a.attributes.limits')
  t.is(path('attributes: {port: 1, limits: {headersTimeout: 2m}}'), 'spec.triggers.a.attributes.limits.headersTimeout')
  t.is(path('attributes: {port: 1, tls: {certFile: a.pem, keyFile: /b.pem}}'), 'spec.triggers.a.attributes.tls.certFile')
  t.is(path('attributes: {paths: ["/a/:x/:x"]}'), 'spec.triggers.a.attributes.paths[0]')
})

test('websocket is true, a list of paths, or a map, with defaults for the rest', (t) => {
  const websocket = (given: string) => triggerOf(`kind: http\nattributes: {websocket: ${given}}`).websocket
  t.is(websocket('false'), null)
  t.deepEqual(websocket('true'), {
    paths: null,
    allowedOrigins: [],
    messageBytesMax: 1024 * 1024,
    connectionsMax: 100,
    pingIntervalMs: 30_000,
  })
  t.deepEqual(websocket('[/live]')?.paths, ['/live'])
  t.like(websocket('{maxMessageSize: 2KiB}'), { paths: null, messageBytesMax: 2048, connectionsMax: 100 })
})

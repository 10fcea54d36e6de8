/** A processor with one function behind http, and a client that says exactly what it is told. */
import type { ExecutionContext, Macro } from 'ava'
import test from 'ava'
import { request, type IncomingHttpHeaders } from 'node:http'
import { ProcessorRig } from './processor-rig.ts'
import { tempDir } from './temp-dir.ts'

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly body?: string | Buffer
  readonly headers?: Record<string, string> | string[]
}

export const withRig: Macro<[(t: ExecutionContext, rig: ProcessorRig) => Promise<void>]> = test.macro(async (t, run) => {
  const rig = await ProcessorRig.open(tempDir(t))
  try {
    await run(t, rig)
  } finally {
    await rig.close()
  }
})

/** One function `f` with trigger `t`; `source` is JavaScript. */
export async function serve(rig: ProcessorRig, source: string, trigger = '{ kind: http }', more = ''): Promise<void> {
  const spec = `
metadata: { name: f }
spec:
  runtime: nodejs
  handler: main:handler
${more}
  triggers:
    t: ${trigger}`
  await rig.processor.activate(rig.version(spec, { 'main.mjs': source }))
}

export function ask(port: number, path: string, { method = 'POST', body, headers = {} }: Ask = {}): Promise<HttpResponse> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks).toString() }))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

import { readFileSync } from 'node:fs'
import type { Call } from '../call.ts'
import { Exit, usageError } from '../exit-codes.ts'
import { oneLine } from '../table.ts'

export interface InvokeOptions {
  readonly body?: string
  readonly topic?: string
  readonly contentType?: string
  readonly header: readonly string[]
}

/** Calls a function on this device and prints what it answers. */
export async function invoke({ agent, printer }: Call, name: string, options: InvokeOptions): Promise<Exit> {
  const body = bodyOf(options.body)
  const headers: Record<string, string> = {}
  const contentType = options.contentType ?? guessedType(body)
  if (contentType) headers['content-type'] = contentType
  if (options.topic !== undefined) headers['x-dunlin-topic'] = options.topic
  for (const header of options.header) {
    const [, key, value] = /^([A-Za-z0-9-]+)=(.*)$/s.exec(header) ?? []
    if (key === undefined || value === undefined) throw usageError(`Cannot read the header "${header}": expected key=value`)
    headers[`x-dunlin-header-${key}`] = value
  }
  const answer = await agent.send('POST', `/v1/functions/${encodeURIComponent(name)}/invoke`, headers, body)
  const failed = answer.status >= 500 || (answer.status === 404 && isError(answer.body))
  const text = answer.body.toString('utf8')
  const type = answer.headers['content-type'] ?? null
  if (printer.isJson) {
    const content = Buffer.from(text).equals(answer.body) ? { body: text } : { bodyBase64: answer.body.toString('base64') }
    printer.result({ status: answer.status, contentType: type, ...content }, () => '')
  } else if (failed) printer.remark(`dunlin: ${name} answered ${answer.status}: ${errorText(text)}`)
  else if (printer.isTty) printer.line(text)
  else printer.raw(answer.body)
  return failed ? Exit.failed : Exit.ok
}

/** `@file` is a file's content, `@-` what comes on stdin. */
function bodyOf(given: string | undefined): Buffer {
  if (given === undefined) return Buffer.alloc(0)
  if (!given.startsWith('@')) return Buffer.from(given)
  return readFileSync(given === '@-' ? 0 : given.slice(1))
}

function guessedType(body: Buffer): string | undefined {
  if (body.length === 0) return undefined
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null ? 'application/json' : 'text/plain'
  } catch {
    return 'text/plain'
  }
}

function isError(body: Buffer): boolean {
  return body.includes('"error"') || body.includes('There is no function')
}

function errorText(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } | string }
    return oneLine((typeof error === 'string' ? error : error?.message) ?? text)
  } catch {
    return oneLine(text)
  }
}

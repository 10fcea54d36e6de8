import { readFileSync } from 'node:fs'
import type { Call } from '../call.ts'
import { Exit, usageError } from '../exit-codes.ts'
import { syntheticQuery } from '../../source/synthetic-event.ts'
import { oneLine } from '../table.ts'

export interface InvokeOptions {
  readonly trigger?: string
  readonly body?: string
  readonly topic?: string
  readonly method?: string
  readonly path?: string
  readonly qos?: number
  readonly retain?: boolean
  readonly type?: string
  readonly contentType?: string
  readonly header: readonly string[]
  readonly field: readonly string[]
}

/** Calls a function on this device and prints what it answers. */
export async function invoke({ agent, printer }: Call, name: string, options: InvokeOptions): Promise<Exit> {
  const { body: given, contentType, header, field, trigger, topic, method, path: requested, qos, retain, type: eventType } = options
  // Only what is there: the query names what it does not know as wrong.
  const event = Object.fromEntries(
    Object.entries({ trigger, topic, method, path: requested, qos, retain, type: eventType }).filter(([, value]) => value !== undefined),
  )
  const body = bodyOf(given)
  const headers = Object.fromEntries(header.map((text) => keyAndValue(text, 'header')))
  const fields = Object.fromEntries(field.map((text) => keyAndValue(text, 'field')))
  const type = contentType ?? guessedType(body)
  // An answer to a person looks like one to an HTTP client, unless they say otherwise.
  const isCall = options.trigger === undefined && options.topic === undefined
  const query = syntheticQuery({ ...(isCall ? { method: 'POST' } : {}), ...event, headers, fields, body })
  const path = `/v1/functions/${encodeURIComponent(name)}/invoke?${query}`
  const answer = await agent.send('POST', path, type === undefined ? {} : { 'content-type': type }, body)
  const failed = answer.status >= 500 || answer.headers['x-dunlin-failed'] !== undefined
  const text = answer.body.toString('utf8')
  const answerType = answer.headers['content-type'] ?? null
  if (printer.isJson) {
    const content = Buffer.from(text).equals(answer.body) ? { body: text } : { bodyBase64: answer.body.toString('base64') }
    printer.result({ status: answer.status, contentType: answerType, ...content }, () => '')
  } else if (failed) printer.remark(`dunlin: ${name} answered ${answer.status}: ${errorText(text)}`)
  else if (printer.isTty) printer.line(text)
  else printer.raw(answer.body)
  return failed ? Exit.failed : Exit.ok
}

function keyAndValue(given: string, what: string): [string, string] {
  const at = given.indexOf('=')
  if (at < 1) throw usageError(`Cannot read the ${what} "${given}": expected key=value`)
  return [given.slice(0, at), given.slice(at + 1)]
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

function errorText(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } | string }
    return oneLine((typeof error === 'string' ? error : error?.message) ?? text)
  } catch {
    return oneLine(text)
  }
}

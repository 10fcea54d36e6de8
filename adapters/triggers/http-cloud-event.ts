/** CloudEvents among requests: a request becomes one or many records of the form that handlers know, whatever mode it came in. */
import { InputError } from '../../runtime/base/errors.ts'
import { AT, Tag } from '../../runtime/event/record.ts'
import type { EventWriter } from '../../runtime/event/event-writer.ts'
import { eventIdOf, type CloudEvent } from './cloud-event.ts'
import { isBinaryMode, modeOf, readBinary } from './cloud-event-http.ts'
import { readBatch, readStructured } from './cloud-event-json.ts'
import type { HttpCall } from './http-listener.ts'
import { addRequest, type Fault, type RequestHeaders } from './http-request.ts'

export interface CloudEvents {
  readonly events: readonly CloudEvent[]
  readonly isBatch: boolean
}

/** null: it is no CloudEvent. */
export function readCloudEvents({ headers }: HttpCall, body: Buffer): CloudEvents | Fault | null {
  try {
    const contentType = headers.get('content-type')
    const mode = modeOf(contentType)
    if (mode === 'batched') return { events: readBatch(body), isBatch: true }
    if (mode === 'structured') return { events: [readStructured(body)], isBatch: false }
    if (!isBinaryMode(headers.names)) return null
    return { events: [readBinary(headers.names, headers.values, contentType, body)], isBatch: false }
  } catch (error) {
    // What is no InputError is JSON that is nested too deeply.
    const code = error instanceof InputError ? error.code : 'cloud-event'
    return { status: code === 'media-type' ? 415 : code === 'cloud-event-batch-max' ? 413 : 400, text: (error as Error).message }
  }
}

/**
 * The attributes are headers `ce-<name>` (decoded), the data is the body, `type` is the event's type. Throws 'head-too-long' for an
 * attribute that no record carries.
 */
export function toCloudEventRecord(call: HttpCall, event: CloudEvent, writer: EventWriter): Buffer {
  const { head } = writer
  addRequest(head, call.request.method ?? 'POST', call.target, withAttributes(call.headers, event), call.parameters)
  head.add(Tag.type, event.attributes.get('type')!)
  const version = event.attributes.get('eventtypeversion')
  if (version !== undefined) head.add(Tag.typeVersion, version)
  const record = writer.finish(event.data)
  record.set(eventIdOf(event), AT.id)
  return record
}

function withAttributes(headers: RequestHeaders, { attributes, dataContentType }: CloudEvent): Pick<RequestHeaders, 'names' | 'values'> {
  const names: string[] = []
  const values: string[] = []
  for (let i = 0; i < headers.names.length; i++) {
    const name = headers.names[i]!
    // Those of the envelope; in structured mode ce- headers may repeat the attributes, and the envelope is what counts.
    if (name === 'content-type' || name === 'content-length' || name.startsWith('ce-')) continue
    names.push(name)
    values.push(headers.values[i]!)
  }
  if (dataContentType !== undefined) {
    names.push('content-type')
    values.push(dataContentType)
  }
  for (const [name, value] of attributes) {
    names.push(`ce-${name}`)
    values.push(value)
  }
  return { names, values }
}

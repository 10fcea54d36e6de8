/** TUF metadata as text in, checked metadata out; whatever is wrong with the text becomes one TrustError. */
import { Metadata, MetadataKind, type Root, type Targets } from '@tufjs/models'
import { TrustError } from '../../runtime/base/errors.ts'
import { parseJson } from '../json/parse-json.ts'

type JsonObject = Parameters<typeof Metadata.fromJSON>[1]

export function parseRoot(text: string): Metadata<Root> {
  return parse('root', text, (json) => Metadata.fromJSON(MetadataKind.Root, json))
}

export function parseTargets(text: string): Metadata<Targets> {
  return parse('targets', text, (json) => Metadata.fromJSON(MetadataKind.Targets, json))
}

function parse<T>(role: string, text: string, read: (json: JsonObject) => T): T {
  try {
    return read(parseJson(text) as JsonObject)
  } catch (cause) {
    throw new TrustError('metadata-invalid', `Cannot read ${role} metadata: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    })
  }
}

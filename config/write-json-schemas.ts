/** Writes the JSON Schemas that editors check agent.yaml, hub.yaml and function.yaml with: npm run schemas. */
import { mkdir, writeFile } from 'node:fs/promises'
import { toJsonSchema } from '@valibot/to-json-schema'
import * as v from 'valibot'
import { AgentDocument } from './agent-schema.ts'
import { functionDocument } from './function-schema.ts'
import { HubDocument } from './hub-schema.ts'
import { triggerKinds } from './triggers/registry.ts'

const DOCUMENTS = {
  agent: AgentDocument,
  hub: HubDocument,
  function: functionDocument(
    v.variant(
      'kind',
      Object.values(triggerKinds).map(({ schema }) => schema),
    ),
  ),
}

/** File name to text. Checks that JSON Schema cannot say (a time zone, a topic filter) are left to Dunlin. */
export function jsonSchemas(): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(DOCUMENTS).map(([name, document]) => {
      const schema = { title: `Dunlin ${name}.yaml`, ...toJsonSchema(document, { typeMode: 'input', errorMode: 'ignore' }) }
      return [`${name}.schema.json`, `${JSON.stringify(schema, null, 2)}\n`]
    }),
  )
}

if (import.meta.main) {
  const folder = new URL('schemas/', import.meta.url)
  await mkdir(folder, { recursive: true })
  for (const [name, text] of jsonSchemas()) await writeFile(new URL(name, folder), text)
}

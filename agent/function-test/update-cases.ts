import { readFileSync, writeFileSync } from 'node:fs'
import { isMap, parseDocument } from 'yaml'
import type { Outcome } from './compare.ts'

/** Writes what came of the cases into the file as what is expected; the rest of it, comments too, stays as it was. */
export function updateCases(file: string, outcomes: ReadonlyMap<number, Outcome>, stateKeys: (index: number) => readonly string[]): void {
  const document = parseDocument(readFileSync(file, 'utf8'))
  for (const [index, outcome] of outcomes) {
    const path = ['cases', index]
    const node = document.getIn(path)
    if (isMap(node)) node.set('expect', document.createNode(expectationOf(outcome, stateKeys(index))))
  }
  writeFileSync(file, document.toString({ lineWidth: 140 }))
}

function expectationOf(outcome: Outcome, stateKeys: readonly string[]): object {
  const { status, body, error, emits, publishes, state } = outcome
  return {
    status,
    ...(error === undefined ? { body: readable(body) } : { error }),
    ...(emits.length > 0 ? { emits: emits.map((emitted) => ({ stream: emitted.stream, body: readable(emitted.body) })) } : {}),
    ...(publishes.length > 0
      ? { publishes: publishes.map((sent) => ({ topic: sent.topic, qos: sent.qos, body: readable(sent.body) })) }
      : {}),
    ...(stateKeys.length > 0
      ? { state: Object.fromEntries(stateKeys.map((key) => [key, state.has(key) ? readable(state.get(key)!) : null])) }
      : {}),
  }
}

/** JSON as what it holds, else the text. */
function readable(body: Buffer): unknown {
  const text = body.toString('utf8')
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' ? value : text
  } catch {
    return text
  }
}

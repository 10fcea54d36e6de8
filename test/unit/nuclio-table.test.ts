/** Every field of Nuclio's documents is accepted, and docs/nuclio.md says of each what becomes of it. */
import { readFileSync } from 'node:fs'
import test from 'ava'
import { stringify } from 'yaml'
import { parseFunctionConfig, type FunctionConfig } from '../../config/function-config.ts'
import * as nuclio from '../support/nuclio-document.ts'

const parse = (spec: object): FunctionConfig =>
  parseFunctionConfig(
    stringify({ apiVersion: 'nuclio.io/v1', kind: 'NuclioFunction', metadata: nuclio.METADATA_FIELDS, spec, status: { state: 'ready' } }),
    'function.yaml',
  )
const withTriggers = (triggers: object): FunctionConfig => parse({ runtime: 'python', triggers })

test('every field of Nuclio is accepted', (t) => {
  t.is(parse({ ...nuclio.SPEC_FIELDS, build: nuclio.BUILD_FIELDS }).name, 'every-field')
  t.is(withTriggers({ api: nuclio.TRIGGER_FIELDS }).triggers.length, 1)
  for (const [kind, attributes] of Object.entries(nuclio.TRIGGER_ATTRIBUTES)) {
    const [trigger] = withTriggers({ one: { kind, attributes } }).triggers
    t.is<string, string>(trigger!.kind, kind)
  }
})

test('trigger kind and runtime of Nuclio that is not here is refused, and said to be known', (t) => {
  const rows = table()
  for (const kind of nuclio.TRIGGER_KINDS_OF_NUCLIO) {
    if (kind in nuclio.TRIGGER_ATTRIBUTES) continue
    t.throws(() => withTriggers({ one: { kind } }), { message: new RegExp(`trigger kind ${kind} is not on this version`) })
    t.not(rows.get(`kind: ${kind}`), 'same', kind)
  }
  for (const runtime of ['dotnetcore', 'ruby'])
    t.throws(() => parse({ runtime }), { message: new RegExp(`runtime ${runtime} is not on this version`) })
})

const VERDICTS = ['same', 'better', 'different', 'meaningless here', 'not yet', 'not there']

/** What the page says, by the name in the first column. */
function table(): Map<string, string> {
  const page = readFileSync(new URL('../../docs/nuclio.md', import.meta.url), 'utf8')
  const rows = page.split('\n').flatMap((line) => {
    const [, names, verdict] = /^\|([^|]+)\|([^|]+)\|/.exec(line.replaceAll('\\|', '/')) ?? []
    return [...(names ?? '').matchAll(/`([^`]+)`/g)].map(([, name]) => [name!, verdict!.trim()] as const)
  })
  return new Map(rows)
}

test('page says of every field, member, kind and runtime what becomes of it', (t) => {
  const rows = table()
  const names = [
    ...Object.keys(nuclio.METADATA_FIELDS).map((name) => `metadata.${name}`),
    ...Object.keys(nuclio.SPEC_FIELDS).map((name) => `spec.${name}`),
    ...Object.keys(nuclio.BUILD_FIELDS).map((name) => `build.${name}`),
    ...Object.keys(nuclio.TRIGGER_FIELDS).map((name) => `trigger.${name}`),
    ...Object.entries(nuclio.TRIGGER_ATTRIBUTES).flatMap(([kind, attributes]) => Object.keys(attributes).map((name) => `${kind}.${name}`)),
    ...nuclio.TRIGGER_KINDS_OF_NUCLIO.map((kind) => `kind: ${kind}`),
    ...nuclio.RUNTIMES_OF_NUCLIO.map((runtime) => `runtime: ${runtime}`),
    ...nuclio.EVENT_MEMBERS.map((name) => `event.${name}`),
    ...nuclio.CONTEXT_MEMBERS.map((name) => `context.${name}`),
  ]
  t.deepEqual(
    names.filter((name) => !rows.has(name)),
    [],
  )
  for (const [name, verdict] of rows) t.true(VERDICTS.includes(verdict), `${name}: ${verdict}`)
})

test('page calls a field meaningless exactly where a notice says that it has no effect', (t) => {
  const rows = table()
  const { notices } = parse({ ...nuclio.SPEC_FIELDS, build: nuclio.BUILD_FIELDS })
  const isTold = (path: string): boolean => notices.some((notice) => notice.includes(` ${path} has no effect here`))
  const without = ['meaningless here', 'not yet', 'not there', 'different']
  for (const [prefix, path, fields] of [
    ['spec', 'spec', nuclio.SPEC_FIELDS],
    ['build', 'spec.build', nuclio.BUILD_FIELDS],
  ] as const) {
    for (const name of Object.keys(fields)) {
      if (isTold(`${path}.${name}`)) t.true(without.includes(rows.get(`${prefix}.${name}`)!), `${name} has no effect`)
    }
  }
})

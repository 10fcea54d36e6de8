/** function.yaml in, FunctionConfig out, or one ConfigError that lists every problem. */
import * as v from 'valibot'
import { Checker } from './check.ts'
import { missingParts, type DocumentDefaults } from './document-defaults.ts'
import { functionDocument, JavaAttributes, NativeAttributes } from './function-schema.ts'
import type { FunctionConfig, FunctionLogLevel, RuntimeKind } from './function-types.ts'
import { Notices } from './notices.ts'
import { BUILD_WITHOUT_EFFECT, METADATA_WITHOUT_EFFECT, OTHER_RUNTIMES, SPEC_WITHOUT_EFFECT } from './nuclio-fields.ts'
import { Problems } from './problems.ts'
import { RUNTIMES, runtimeKind } from './runtimes.ts'
import { compileTriggers } from './trigger-config.ts'
import { compileShellAttributes } from './shell-attributes.ts'
import { YamlSource } from './yaml-source.ts'

export type * from './function-types.ts'

// The triggers are checked apart, kind by kind.
const Document = functionDocument(v.unknown())
type Document = v.InferOutput<typeof Document>

/** `defaults`: what stands in for parts that the document does not have. */
export function parseFunctionConfig(text: string, file: string, defaults?: DocumentDefaults): FunctionConfig {
  const problems = new Problems(file)
  const source = YamlSource.parse(text, problems)
  const overlay = source && defaults ? { name: 'defaults', value: missingParts(defaults, source.value) } : null
  const config = source && compile(new Checker(source, problems, overlay), file)
  problems.throwIfAny()
  return config!
}

/** Every part is checked, also after one has failed; null when any did. */
function compile(checker: Checker, file: string): FunctionConfig | null {
  const document = checker.check(Document)
  const notices = new Notices(checker, file)
  const runtime = compileRuntime(checker)
  const name = checker.valueAt(['metadata', 'name'])
  const triggers = compileTriggers(checker, notices, { runtime: runtime ?? 'nodejs', functionName: String(name) })
  const inlineSource = compileInlineSource(checker)
  const runtimeAttributes = compileRuntimeAttributes(checker, runtime)
  const handler = compileHandler(checker, runtime)
  if (!document || !runtime || !triggers || !runtimeAttributes || handler === null || inlineSource === undefined) return null

  const { metadata, spec } = document
  if (spec.retry.max < spec.retry.first) checker.add(['spec', 'retry', 'max'], 'expected at least retry.first, got less')
  if (spec.isolation === 'thread' && runtime !== 'nodejs')
    checker.add(['spec', 'isolation'], `expected process, got thread`, `only nodejs runs in threads: leave it out for ${runtime}`)
  addNotices(document, notices)
  return {
    name: metadata.name,
    labels: metadata.labels,
    annotations: metadata.annotations,
    description: spec.description,
    handler,
    runtime,
    isolation: spec.isolation ?? (runtime === 'nodejs' ? 'thread' : 'process'),
    env: spec.env.filter(({ valueFrom }) => valueFrom === undefined).map(({ name, value }) => ({ name, value: value ?? '' })),
    eventTimeoutMs: spec.eventTimeout,
    maxAttempts: spec.maxAttempts,
    retryFirstMs: spec.retry.first,
    retryMaxMs: spec.retry.max,
    outputStream: spec.outputStream ?? null,
    routes: spec.routes ?? null,
    logLevel: logLevel(spec.loggerSinks),
    runtimeAttributes,
    disabled: spec.disable,
    triggers,
    memoryLimitBytes: spec.resources.limits.memory ?? null,
    inlineSource,
    notices: notices.all,
  }
}

function compileRuntime(checker: Checker): RuntimeKind | null {
  const given = checker.valueAt(['spec', 'runtime'])
  // A missing runtime, or one that is no text, is among the document's problems.
  if (typeof given !== 'string' || given === '') return null
  const runtime = runtimeKind(given)
  if (runtime) return runtime
  const isKnown = [...OTHER_RUNTIMES, 'java'].includes(given.split(':')[0]!)
  const expected = `expected one of ${Object.keys(RUNTIMES).join(', ')}, got ${JSON.stringify(given)}`
  checker.add(['spec', 'runtime'], expected, isKnown ? `runtime ${given} is not on this version` : null)
  return null
}

function compileHandler(checker: Checker, runtime: RuntimeKind | null): string | null {
  const given = checker.valueAt(['spec', 'handler'])
  if (typeof given === 'string') return given
  const handler = runtime && RUNTIMES[runtime].handler
  if (runtime && !handler && given === undefined) {
    checker.add(
      ['spec', 'handler'],
      `expected ${runtime === 'native' ? 'libname.so or libname.so:symbol' : 'the program to run'}, got nothing`,
    )
  }
  return handler
}

/** undefined after a problem. */
function compileInlineSource(checker: Checker): string | null | undefined {
  const path = ['spec', 'build', 'functionSourceCode']
  const type = checker.valueAt(['spec', 'build', 'codeEntryType'])
  if (type !== undefined && type !== '' && type !== 'inline' && type !== 'sourceCode') {
    checker.add(
      ['spec', 'build', 'codeEntryType'],
      `expected inline or sourceCode, got ${JSON.stringify(type)}`,
      'put the code beside function.yaml and leave this out',
    )
    return undefined
  }
  const given = checker.valueAt(path)
  if (given === undefined || given === '') return null
  // The wrong type is among the document's problems.
  if (typeof given !== 'string') return undefined
  const packed = given.replace(/\s/g, '')
  const decoded = Buffer.from(packed, 'base64')
  if (decoded.toString('base64').replace(/=+$/, '') !== packed.replace(/=+$/, '')) {
    checker.add(path, 'expected base64, got other characters')
    return undefined
  }
  return decoded.toString('utf8')
}

function compileRuntimeAttributes(checker: Checker, runtime: RuntimeKind | null): Record<string, unknown> | null {
  const path = ['spec', 'runtimeAttributes']
  const given = checker.valueAt(path) ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) return null
  if (runtime === 'java') return checker.check(JavaAttributes, path) ?? null
  if (runtime === 'native' || runtime === 'golang') return checker.check(NativeAttributes, path) ?? null
  if (runtime === 'shell') return compileShellAttributes(checker, path)
  return given as Record<string, unknown>
}

function logLevel(sinks: Document['spec']['loggerSinks']): FunctionLogLevel {
  const level = sinks.find((sink) => sink.level !== undefined)?.level ?? 'info'
  return level === 'warning' ? 'warn' : level
}

function addNotices({ spec, metadata, ...rest }: Document, notices: Notices): void {
  notices.withoutEffect(['metadata'], metadata, METADATA_WITHOUT_EFFECT)
  notices.withoutEffect(['spec'], spec, SPEC_WITHOUT_EFFECT)
  notices.withoutEffect(['spec', 'build'], spec.build, BUILD_WITHOUT_EFFECT)
  notices.withoutEffect(['spec', 'resources'], spec.resources, { requests: 'nothing is reserved for a function' })
  for (const name of Object.keys(spec.resources.limits)) {
    if (name !== 'memory') notices.add(['spec', 'resources', 'limits', name], 'has no effect here: only memory is limited')
  }
  notices.withoutEffect([], rest, { status: 'the agent reports its own' })
  for (const [index, { name, valueFrom }] of spec.env.entries()) {
    if (valueFrom !== undefined)
      notices.add(['spec', 'env', index, 'valueFrom'], `has no effect here: ${name} stays unset, because a device is no cluster`)
  }
  for (const [index, { sink }] of spec.loggerSinks.entries()) {
    if (sink !== undefined) notices.add(['spec', 'loggerSinks', index, 'sink'], 'has no effect here: logs go to the agent and to the hub')
  }
  if (Object.keys(spec.triggers).length === 0) notices.add(['spec'], 'has no triggers: the function runs only when it is called by name')
}
